"A published site: private data, unchanged editions, messages, links, feed, and hostile content."

import base64
import gzip
import json
import re
import uuid
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from site_checks import rendered_problems

from crmeval.cli.app import main
from crmeval.core.records import Response, Sample, Score, Usage
from crmeval.pages.edition import make_edition
from crmeval.pages.leaderboard import METRICS, leaderboard
from crmeval.pages.publish import feed_xml, write_edition
from crmeval.pages.quarto_project import write_quarto_project
from crmeval.pages.site_settings import SiteSettings, make_site_settings
from crmeval.runs.evaluation import run as run_benchmark
from crmeval.runs.folder import Run, write_run

ATTACKS = [
    "<script>window.hit=1</script>",
    "</main></body><img src=x onerror=window.hit=1>",
    "\x1b[31m\u202e\x00half \ud83d",
    "{{< include /etc/passwd >}} ```{=html}",
    "x" * 3000,
]
ATOM = "{http://www.w3.org/2005/Atom}"
SETTINGS = SiteSettings(
    "ACME <script>alert(1)</script> & \u05d0\u05d1",
    "bench@acme.example",
    "CC BY 4.0 <b>",
    title="Which model? <img src=x onerror=y>",
    about=("Not \u202e turned <i>.",),
    address="https://acme.example/llm/",
    comparisons=2,
)


def a_run(folder="hostile", finished="2026-11-28T10:00:00+00:00", better=0, digest="a" * 32, n=12):
    "A run of two systems whose texts, names and IDs are all hostile."
    names = ["openai:good", f"openai:{ATTACKS[1]}"]
    samples, answers, scores = [], [], []
    for i in range(n):
        evil, case = ATTACKS[i % len(ATTACKS)], ("service_call_summary", "sales_call_summary")[i % 2]
        source = f"Mrs Secret {evil} called"
        samples.append(
            Sample(f"secret-id-{i}", case, {"transcript": source}, [source], dataset="/home/x/calls.csv")
        )
        for k, name in enumerate(names):
            answer = f"secret answer {evil}"
            answers.append(
                Response(f"secret-id-{i}", name, answer, usage=Usage(9, 9), latency_s=1.0 + k, use_case=case)
            )
            for m in METRICS:
                points = float(min(4, 2 + k + better))
                more = {"rater": "embedded", "sample_id": f"secret-id-{i}", "client": name, "use_case": case}
                scores.append(Score(m, points, (points - 1) / 3, "ok", f"secret why {evil}", [], **more))
    manifest = {
        "finished": finished,
        "samples": {"n": n, "digest": digest},
        "clients": [
            {"name": c, "provider": "openai", "model": "m", "base_url": "http://inside"} for c in names
        ],
        "judge": {"name": "embedded"},
        "plan": {"out": "/home/x/runs"},
        "warnings": ["The earlier content of /home/x/runs is elsewhere."],
        "command": "crmeval run --out /home/x/runs",
    }
    return Run(Path(folder), manifest, samples, answers, scores)


def readable(text):
    "Return a page with its packed data decompressed."
    packed = re.findall(r"H4sI[A-Za-z0-9+/=]{20,}", text)
    return text + " ".join(gzip.decompress(base64.b64decode(p)).decode("utf-8") for p in packed)


@pytest.fixture(scope="module")
def editions():
    return {
        "2026-Q3": make_edition([a_run()], SETTINGS, edition="2026-Q3"),
        "2026-Q4": make_edition(
            [a_run(finished="2026-12-28T10:00:00+00:00", better=1)], SETTINGS, edition="2026-Q4"
        ),
        "other": make_edition(
            [a_run(finished="2027-01-28T10:00:00+00:00", digest="b" * 32)], SETTINGS, edition="2027"
        ),
    }


@pytest.fixture
def site(tmp_path, editions):
    times = iter(f"2027-0{k}-01T00:00:00+00:00" for k in range(1, 9))
    for edition in editions.values():
        done = write_edition(edition, SETTINGS, tmp_path / "site", clock=lambda: next(times))
    return done


def bytes_of(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# ---- editions
def test_what_was_published_stays_as_it_was(tmp_path, editions):
    first = write_edition(editions["2026-Q3"], SETTINGS, tmp_path, clock=lambda: "2026-12-01T00:00:00+00:00")
    before = bytes_of(tmp_path / "editions" / "2026-Q3")
    second = write_edition(editions["2026-Q4"], SETTINGS, tmp_path)
    assert bytes_of(tmp_path / "editions" / "2026-Q3") == before and first.is_newest and second.is_newest
    assert second.editions == ["2026-Q4", "2026-Q3"]
    landing = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "editions/2026-Q4/hostile-report.html" in landing and "editions/2026-Q3/hostile" not in landing
    listed = (tmp_path / "editions.html").read_text(encoding="utf-8")
    assert listed.index("editions/2026-Q4/index.html") < listed.index("editions/2026-Q3/index.html")


def test_an_edition_is_never_overwritten_silently(tmp_path, editions):
    write_edition(editions["2026-Q3"], SETTINGS, tmp_path)
    assert not write_edition(editions["2026-Q3"], SETTINGS, tmp_path).is_new
    other = replace(editions["2026-Q4"], id="2026-Q3")
    before = bytes_of(tmp_path)
    with pytest.raises(ValueError, match="holds an edition '2026-Q3' with other pages"):
        write_edition(other, SETTINGS, tmp_path)
    assert bytes_of(tmp_path) == before
    assert write_edition(other, SETTINGS, tmp_path, replace=True).editions == ["2026-Q3"]
    assert not [p for p in tmp_path.rglob(".*")]  # no temporary file is left


def test_a_folder_that_a_stopped_publication_left_is_not_taken_for_nothing(tmp_path, editions):
    write_edition(editions["2026-Q3"], SETTINGS, tmp_path)
    (tmp_path / "editions" / "2026-Q4").mkdir()
    with pytest.raises(ValueError, match="2026-Q4"):
        write_edition(editions["2026-Q4"], SETTINGS, tmp_path)
    assert write_edition(editions["2026-Q4"], SETTINGS, tmp_path, replace=True).is_new


def test_an_older_run_that_comes_later_leaves_the_first_page(tmp_path, editions):
    write_edition(editions["2026-Q4"], SETTINGS, tmp_path)
    before = (tmp_path / "index.html").read_bytes()
    late = write_edition(editions["2026-Q3"], SETTINGS, tmp_path)
    assert not late.is_newest and (tmp_path / "index.html").read_bytes() == before
    assert "The first edition." in late.changes


def test_another_plan_is_told(site):
    assert site.changes == ["Not to be compared with the edition 2026-Q4: other samples."]
    assert "Not to be compared with the edition 2026-Q4" in (site.folder / "editions.html").read_text(
        encoding="utf-8"
    )


def test_the_change_of_a_system_is_told_with_both_intervals(tmp_path, editions):
    write_edition(editions["2026-Q3"], SETTINGS, tmp_path)
    changes = write_edition(editions["2026-Q4"], SETTINGS, tmp_path).changes
    good = next(line for line in changes if "openai:good" in line)
    assert "accuracy 2.00" in good and "3.00" in good and good.endswith("now; the intervals overlap.")


# ---- private data
def test_texts_ids_folders_and_addresses_stay_at_home(site):
    texts = [p for p in site.folder.rglob("*") if p.suffix in (".html", ".xml", ".json", ".txt")]
    assert {p.suffix for p in texts} >= {".html", ".xml", ".json"}
    for path in texts:
        text = readable(path.read_text(encoding="utf-8"))
        found = [w for w in ("secret", "Secret", "/home/x", "http://inside") if w in text]
        assert not found, (path.name, found)


def test_of_trust_and_protection_figures_are_published_and_no_probe(tmp_path):
    "Probes and twins are texts: their figures are published, their texts and links to them are not."
    done = run_benchmark(
        ["baseline:sensible", "trusted:baseline:sensible"],
        areas=["accuracy", "trust", "protection"],
        use_cases=["service_email_summary"],
        limit=1,
        repeats=2,
        out=tmp_path / "run",
        progress=False,
    )
    site = tmp_path / "site"
    write_edition(make_edition([done], SETTINGS), SETTINGS, site)
    pages = {p: readable(p.read_text(encoding="utf-8")) for p in site.rglob("*.html")}
    probes = [s for s in done.samples if s.use_case.endswith("_probe") or s.perturbation]
    probe_texts = [value for s in probes for value in s.inputs.values() if len(str(value)) > 60]
    assert len(probe_texts) > 20
    for page, text in pages.items():
        assert not [a for a in probe_texts if str(a)[:60] in text], page
        ids = set(re.findall(r'\bid="([^"]+)"', text))
        assert {a for a in re.findall(r'href=\\?"#(trust|protection)', text)} <= ids, page
    row = next(r for r in leaderboard(done) if r.client == "baseline:sensible")
    assert row.trust.safety.value is not None and row.protection is not None
    first = pages[site / "index.html"]
    assert f"{row.trust.safety.value:.1f}" in first and f"{row.protection['values_sent'].value:.1f}" in first


def test_texts_are_published_where_the_settings_say_so(tmp_path):
    made = make_edition([a_run(n=4)], replace(SETTINGS, samples="all"), edition="1")
    report = readable(next(p.html for p in made.pages if p.file == "hostile-report.html"))
    assert "secret answer" in report and "secret-id-1" in report and "Mrs Secret" in report
    assert "/home/x" not in "".join(readable(p.html) for p in made.pages)


# ---- links, addresses, markup
class Dangerous(HTMLParser):
    "Finds event handlers, elements that fetch or embed, and script URLs."

    def __init__(self):
        super().__init__()
        self.found, self.headings, self.fetched = [], 0, []

    def handle_starttag(self, tag, attrs):
        self.headings += tag == "h1"
        self.found += [f"{tag} {k}" for k, _ in attrs if k.startswith("on")]
        self.found += [tag] if tag in ("iframe", "object", "embed", "base", "form") else []
        attributes = dict(attrs)
        self.found += [
            f"{k}={attributes[k]}" for k in ("href", "src") if str(attributes.get(k)).startswith("javascript")
        ]
        fetches = tag in ("img", "script", "source") or (tag == "link" and attributes.get("rel") == "icon")
        self.fetched += [attributes[k] for k in ("src", "href") if fetches and attributes.get(k)]


def test_no_page_runs_fetches_or_breaks(site):
    pages = list(site.folder.rglob("*.html"))
    assert len(pages) > 5
    for path in pages:
        seen = Dangerous()
        seen.feed(path.read_text(encoding="utf-8"))
        assert seen.found == [] and seen.headings == 1, (path, seen.found)
        assert all(a.startswith("data:") for a in seen.fetched), path
        text = path.read_text(encoding="utf-8")
        assert "Content-Security-Policy" in text and "\u202e" not in text and "\x00" not in text


def test_every_link_leads_somewhere(site):
    wrong = [p for p in rendered_problems(site.folder) if "#samples?" not in p]
    assert wrong == []


def test_a_number_leads_to_the_samples_behind_it(site):
    landing = readable((site.folder / "index.html").read_text(encoding="utf-8"))
    assert re.search(r"editions/2027/hostile-report\.html#samples\?0=\d", landing)
    inside = readable((site.folder / "editions" / "2026-Q3" / "index.html").read_text(encoding="utf-8"))
    assert re.search(r"(?<!/)hostile-report\.html#samples\?0=\d", inside)
    for metric in METRICS:  # sorted by the clicked metric, worst first
        assert re.search(rf"report\.html#samples\?0=\d[^\"]*&amp;by={metric}&amp;with=1", landing), metric


def test_previews_robots_and_sitemap(site, tmp_path, editions):
    landing = (site.folder / "index.html").read_text(encoding="utf-8")
    assert '<meta property="og:url" content="https://acme.example/llm/">' in landing
    assert '<meta property="og:image" content="https://acme.example/llm/editions/2027/social.png">' in landing
    listed = [u[0].text for u in ElementTree.parse(site.folder / "sitemap.xml").getroot()]
    for address in listed:
        file = address.removeprefix("https://acme.example/llm/")
        assert (site.folder / (file + "index.html" if file.endswith("/") or not file else file)).is_file()
    silent = replace(SETTINGS, address="", robots="none")
    quiet = write_edition(editions["2026-Q3"], silent, tmp_path / "quiet")
    assert not (quiet.folder / "sitemap.xml").exists()
    assert "noindex" in quiet.page.read_text(encoding="utf-8") and "og:image" not in quiet.page.read_text(
        encoding="utf-8"
    )
    assert "Disallow: /" in (quiet.folder / "robots.txt").read_text(encoding="utf-8")


# ---- the feed
def test_the_feed_is_atom(site):
    feed = ElementTree.parse(site.folder / "feed.xml").getroot()
    entries = feed.findall(f"{ATOM}entry")
    assert feed.tag == f"{ATOM}feed" and len(entries) == 3
    assert feed.find(f"{ATOM}author/{ATOM}name").text.startswith("ACME <script>")
    for element in (feed, *entries):
        for name in ("id", "title", "updated"):
            assert len(element.findall(ATOM + name)) == 1 and element.find(ATOM + name).text
        assert datetime.fromisoformat(element.find(f"{ATOM}updated").text).tzinfo
        assert uuid.UUID(element.find(f"{ATOM}id").text.removeprefix("urn:uuid:"))
    assert len({e.find(f"{ATOM}id").text for e in (feed, *entries)}) == 4
    assert {e.find(f"{ATOM}link").get("href") for e in entries} == {
        f"https://acme.example/llm/editions/{name}/index.html" for name in ("2026-Q3", "2026-Q4", "2027")
    }


def test_ids_of_the_feed_survive_a_new_name_and_address(site):
    record = json.loads((site.folder / "editions.json").read_text(encoding="utf-8"))
    ids = [
        re.findall(r"<id>([^<]+)", feed_xml(record, s))
        for s in (SETTINGS, replace(SETTINGS, name="Renamed", address=""))
    ]
    assert ids[0] == ids[1]


# ---- the Quarto project
def test_sources_hold_no_markup_of_others(site, editions, tmp_path):
    project = write_quarto_project(editions["other"], SETTINGS, site.folder, tmp_path / "project")
    read = yaml.safe_load((project.folder / "_quarto.yml").read_text(encoding="utf-8"))
    assert read["website"]["title"] == SETTINGS.name and read["website"]["site-url"] == SETTINGS.address
    for path in project.folder.glob("[a-z]*.qmd"):
        text = path.read_text(encoding="utf-8")
        assert text.count("{{<") == (path.name == "index.qmd"), path.name
        words = re.sub(r"```\{=html\}.*?\n```", "", text.partition("\n---\n")[2], flags=re.S)
        assert not re.search(r"(?<!\\)<[a-z/]", words), path.name
    with pytest.raises(ValueError, match="holds other files and no project"):
        write_quarto_project(editions["other"], SETTINGS, site.folder, site.folder)


# ---- the command
def test_what_is_missing_is_told_in_words(tmp_path, capsys):
    write_run(a_run(tmp_path / "run", n=2))
    (tmp_path / "site.yaml").write_text("name: ACME\ncontact: bench@acme.example\nlicens: MIT\n")
    (tmp_path / "full" / "mine.txt").mkdir(parents=True)
    words = ["--licence", "MIT", "--contact", "a@b.example"]
    for line, message in {
        "publish": "there is no run to publish",
        f"publish {tmp_path}/run --name ACME": "the site lacks contact (whom readers write to",
        f"publish {tmp_path}/run --config {tmp_path}/site.yaml": "no key 'licens'; did you mean 'licence'?",
        f"publish {tmp_path}/run --name A {' '.join(words)} --out {tmp_path}/full": "holds other files",
        f"publish {tmp_path}/none --name A {' '.join(words)} --out {tmp_path}/new": "is not a run folder",
        f"publish {tmp_path}/run --name A {' '.join(words)} --address acme": "begins with https://",
        f"publish {tmp_path}/run --name A {' '.join(words)} --edition ../x": "expected letters, digits",
    }.items():
        assert main(line.split()) == 2
        assert message in capsys.readouterr().err, line
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "value", [None, True, 7, [], {}, "", "a\nb" * 400, {"a": {"b": []}}, float("nan"), "\ud83d"]
)
@pytest.mark.parametrize(
    "key", ["name", "contact", "address", "about", "colours", "logo", "samples", "comparisons", "robots"]
)
def test_settings_of_any_kind_are_read_or_refused(key, value):
    settings = {"name": "A", "contact": "a@b.example", "licence": "MIT", key: value}
    try:
        assert isinstance(make_site_settings(settings, "site.yaml"), SiteSettings)
    except ValueError as error:
        assert str(error).startswith("site.yaml") and len(str(error)) < 600

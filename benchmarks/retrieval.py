"""Retrievers on three public sets: nDCG, recall and MRR with intervals, CPU milliseconds for a query.

    python benchmarks/retrieval.py [SET ...] [--write] [--no-encoder] [--keep FOLDER]

Needs the sets in $CRMEVAL_DATA, for the encoder the extra of that name, for the row of bm25s that package.
Everything runs in this process on one thread; building an index is not part of a query's time.

Each query belongs to one of two halves (conversations whole). What is chosen (the weight of the encoder
where words and meanings are put together, the view of the conversation) is chosen on the first half; the
table shows the second. The figures of the first half are kept beside it in the results.

- no filter / filter: whether what the record knows (which hotel) narrows the search;
- last / conversation: whether only the last turn is looked for, or words of the two before with less weight.
"""

import argparse
import json
import os
import platform
import sqlite3
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from crmeval.core.text import words
from crmeval.layer.grounding import KeywordRetriever, Passage
from crmeval.layer.index import Index
from crmeval.metrics.answerable import abstain_below, abstains_below, abstention_figures
from crmeval.metrics.retrieval import compare_retrievers, evaluate_retriever, retrieval_text, searcher
from crmeval.tasks.retrieval_sets import known_figures, retrieval_set, retrieval_sets
from crmeval.validation.retrievers import VIEWS

RESULTS = Path(__file__).parent / "results" / "retrieval.json"
K = 10


def shown(p):
    "A passage as it is read: its title, and its text."
    return f"{p['title']}\n{p['text']}" if p.get("title") else p["text"]


class Masks:
    "Which passages a filter leaves."

    def __init__(self, passages):
        self.passages, self.kept = passages, {}

    def __getitem__(self, where):
        key = json.dumps(where, sort_keys=True)
        if key not in self.kept:
            fits = [all(self._fits(p, name, wanted) for name, wanted in where.items()) for p in self.passages]
            self.kept[key] = np.array(fits, bool)
        return self.kept[key]

    def _fits(self, passage, name, wanted):
        return passage.get(name) in (wanted if isinstance(wanted, list) else [wanted])


class Ranked:
    "What every engine of this file has: passages, filters, the best of some scores."

    def __init__(self, passages):
        self.passages, self.masks = passages, Masks(passages)

    def best(self, scores, where, k, least=0.0):
        fit = np.flatnonzero(self.masks[where or {}] & (scores > least))
        order = fit[np.argsort(-scores[fit], kind="stable")[:k]]
        return [{"id": self.passages[i]["id"], "score": float(scores[i])} for i in order]


class Bm25s(Ranked):
    "The package bm25s as it comes, with its list of English stop words."

    def __init__(self, passages):
        import bm25s

        super().__init__(passages)
        self.cut = lambda t: bm25s.tokenize(t, show_progress=False, return_ids=False)
        self.engine = bm25s.BM25()
        self.engine.index(self.cut([shown(p) for p in passages]), show_progress=False)

    def search(self, query, k, where):
        asked = self.cut([query.text])[0]
        if not asked:
            return []
        return self.best(np.asarray(self.engine.get_scores(asked), float), where, k)


class Fts5(Ranked):
    "SQLite's own search with its stemmer; every word quoted, the filter in SQL."

    def __init__(self, passages):
        super().__init__(passages)
        self.base = sqlite3.connect(":memory:")
        names = sorted(
            {n for p in passages for n, v in p.items() if isinstance(v, str | int | float)} - {"id", "text"}
        )
        self.columns = {n: f"f{i}" for i, n in enumerate(names)}
        told = "".join(f", {c}" for c in self.columns.values())
        self.base.execute(f"CREATE TABLE p (n INTEGER PRIMARY KEY{told})")
        self.base.execute("CREATE VIRTUAL TABLE w USING fts5(x, tokenize='porter unicode61')")
        marks = ", ".join("?" * (len(names) + 1))
        rows = ((n, *(p.get(name) for name in names)) for n, p in enumerate(passages))
        self.base.executemany(f"INSERT INTO p VALUES ({marks})", rows)
        self.base.executemany("INSERT INTO w(rowid, x) VALUES (?, ?)", enumerate(map(shown, passages)))

    def search(self, query, k, where):
        asked = " OR ".join(f'"{w}"' for w in dict.fromkeys(words(query.text)))
        if not asked:
            return []
        tests, values = "", []
        for name, wanted in (where or {}).items():
            several = wanted if isinstance(wanted, list) else [wanted]
            marks = ", ".join("?" * len(several))
            tests += f" AND rowid IN (SELECT n FROM p WHERE {self.columns[name]} IN ({marks}))"
            values += several
        told = f"SELECT rowid, rank FROM w WHERE w MATCH ?{tests} ORDER BY rank LIMIT ?"
        found = self.base.execute(told, (asked, *values, k)).fetchall()
        return [{"id": self.passages[n]["id"], "score": -rank} for n, rank in found]


class Keyword(Ranked):
    "The retriever to try things with; one that knows no lists of values is given one filter at a time."

    def __init__(self, passages):
        super().__init__(passages)
        known = [
            Passage(p["id"], p["text"], p.get("title", ""), fields={n: p[n] for n in p if n != "id"})
            for p in passages
        ]
        self.inner = KeywordRetriever(known)

    def search(self, query, k, where):
        several = next((v for v in (where or {}).values() if isinstance(v, list)), [None])
        name = next((n for n, v in (where or {}).items() if isinstance(v, list)), None)
        found = [
            p
            for v in several
            for p in self.inner.search(query.text, k, {**(where or {}), **({name: v} if name else {})})
        ]
        return sorted(found, key=lambda p: -p.score)[:k]


class Meanings(Ranked):
    "The encoder: one direction a passage, one a query, the likeness of the two."

    def __init__(self, passages, encoder, keep=None):
        super().__init__(passages)
        self.encoder, self.rows = encoder, self._rows(encoder, keep)

    def _rows(self, encoder, keep):
        path = keep and Path(keep) / f"{len(self.passages)}.npy"
        if path and path.is_file():
            return np.load(path)
        rows = encoder.encode([shown(p) for p in self.passages])
        if path:
            np.save(path, rows)
        return rows

    def scores(self, text):
        return (self.rows @ self.encoder.encode([text])[0]).astype(float)

    def search(self, query, k, where):
        return self.best(self.scores(query.text), where, k, least=-2.0)


class Both(Ranked):
    "Words and meanings: each score divided by the highest of the query, put together with a weight."

    def __init__(self, passages, lexical, meanings, weight, view):
        super().__init__(passages)
        self.lexical, self.meanings, self.weight, self.view = lexical, meanings, weight, view
        self.place = {p["id"]: n for n, p in enumerate(passages)}

    def search(self, query, k, where):
        found = self.lexical.search(self.view(query), 100, where)
        by_words = np.zeros(len(self.passages))
        for p in found:
            by_words[self.place[p.id]] = p.score / (found[0].score or 1.0)
        likeness = np.clip(self.meanings.scores(query.text), 0, None)
        top = likeness[self.masks[where or {}]].max(initial=1e-9)
        return self.best(self.weight * likeness / top + (1 - self.weight) * by_words, where, k, least=-2.0)


class ByQuery:
    "An engine that reads the query itself, as a search."

    def __init__(self, engine, filtered):
        self.engine, self.filtered = engine, filtered

    def __call__(self, query):
        return self.engine.search(query, K, query.where if self.filtered else None)


def engines(s, index, encoder, keep):
    "name -> search of everything that needs no choice."
    fields = any(q.where for q in s.queries)
    made = {"SQLite FTS5": Fts5(s.passages), "KeywordRetriever": Keyword(s.passages)}
    if find_spec("bm25s"):
        made = {"bm25s": Bm25s(s.passages), **made}
    meanings = Meanings(s.passages, encoder, keep) if encoder else None
    if meanings:
        made["encoder"] = meanings
    found = {}
    for filtered in (False, True) if fields else (False,):
        said = ("filter, " if filtered else "no filter, ") if fields else ""
        for name, engine in made.items():
            found[f"{said}{name}, last"] = ByQuery(engine, filtered)
        for view, words_of in VIEWS.items():
            found[f"{said}Index, {view}"] = searcher(index, k=K, filtered=filtered, words=words_of)
    return found, meanings


def hybrid(s, index, meanings, half):
    "(what was chosen, search): the weight and the view with the best nDCG on a half."
    tried = {}
    filtered = any(q.where for q in s.queries)
    for view, words_of in VIEWS.items():
        for weight in (0.2, 0.35, 0.5, 0.65, 0.8):
            engine = Both(s.passages, index, meanings, weight, words_of)
            table = evaluate_retriever(ByQuery(engine, filtered), half.queries, figures=["ndcg@10"])
            tried[view, weight] = table["ndcg@10"].value, engine
    best = max(tried, key=lambda c: tried[c][0])
    said = "filter, " if filtered else ""
    return f"{said}Index and encoder, {best[0]}, weight {best[1]:g}", ByQuery(tried[best][1], filtered)


def told(table):
    return {
        r["figure"]: {k: r[k] for k in ("value", "low", "high", "n", "undefined")} for r in table.to_dicts()
    }


def abstaining(first, second):
    "A threshold on the best score, chosen on one half, on the other."
    cut = abstain_below([f.top_score for f in first.found], [f.answerable for f in first.found])
    left = abstains_below([f.top_score for f in second.found], cut)
    figures = abstention_figures(left, [f.answerable for f in second.found])
    return {name: {"value": e.value, "low": e.low, "high": e.high} for name, e in figures.items()}


def measured(name, args, encoder):
    "Everything about one set."
    s = retrieval_set(name)
    first, second = s.halves()
    with tempfile.TemporaryDirectory() as folder:
        index = Index(Path(folder) / "index.db", unmarked="everybody")
        index.add(s.passages)
        searches, meanings = engines(s, index, encoder, args.keep)
        if meanings:
            chosen, search = hybrid(s, index, meanings, first)
            searches[chosen] = search
        tables = {
            n: [evaluate_retriever(f, h.queries, name=n) for h in (first, second)]
            for n, f in searches.items()
        }
        rows = {n: {"chosen on": told(a), "reported": told(b)} for n, (a, b) in tables.items()}
        print(f"\n{s!r}, second half\n{retrieval_text([b for _, b in tables.values()])}")
        result = {
            "set": repr(s),
            "systems": rows,
            **compared(tables),
            **told_apart(s, first, second, searches),
        }
        index.close()
    for f in known_figures(name):
        print(f"known: {f.system}, {f.view}: {f.figure} {f.value:.2f} ({f.source})")
    return result


def compared(tables):
    "The best system of the first half against the index of words, on the second."
    best = max(tables, key=lambda n: tables[n][0]["ndcg@10"].value)
    plain = next(n for n in reversed(tables) if "Index, last" in n)
    d = compare_retrievers(tables[best][1], tables[plain][1])
    print(f"{best} against {plain}: nDCG@10 {d.brief('+.3f')}, p = {d.p_value:.4f}")
    return {"best on the first half": best, "against": plain, "gain": [d.value, d.low, d.high, d.p_value]}


def told_apart(s, first, second, searches):
    "Answerable or not by the score of the best passage; without filters, which would give it away."
    if not s.unanswerable:
        return {}
    names = [
        n for n in searches if not n.startswith("filter") and ("Index, last" in n or "encoder, last" in n)
    ]
    out = {}
    for n in names:
        tables = [evaluate_retriever(searches[n], [*h.queries, *h.unanswerable]) for h in (first, second)]
        out[n] = {"auc": tables[1].auc.value, "auc low": tables[1].auc.low, **abstaining(*tables)}
        print(
            f"{n}: AUC of the best score {tables[1].auc.brief()}; abstaining F1 {out[n]['f1']['value']:.2f}"
        )
    return {"answerable": out}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="*", default=retrieval_sets())
    parser.add_argument("--write", action="store_true", help=f"keep the figures in {RESULTS.name}")
    parser.add_argument("--no-encoder", action="store_true")
    parser.add_argument("--keep", help="folder in which the passages' directions are kept between runs")
    args = parser.parse_args()
    encoder = None
    if not args.no_encoder:
        from crmeval.core.encoder import Encoder

        encoder = Encoder(remember=0)
    found = {name: measured(name, args, encoder) for name in args.sets}
    if args.write:
        kept = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
        machine = {
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "sqlite": sqlite3.sqlite_version,
        }
        RESULTS.write_text(json.dumps({**kept, "machine": machine, **found}, indent=1) + "\n")


if __name__ == "__main__":
    main()

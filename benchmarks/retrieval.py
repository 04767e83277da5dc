"""Retrievers on three public sets: nDCG, recall and MRR with intervals, CPU milliseconds per query.

    python benchmarks/retrieval.py [SET ...] [--write] [--no-encoder] [--only WORD] [--keep FOLDER]

Needs the sets in $CRMEVAL_DATA, for the encoder the extra of that name, and for the row of bm25s that
package. Everything runs in this process on one thread; building an index is not part of a query's time.
Encoded texts are cached, so that tuning does not take hours; the time of queries with the encoder is
measured on the first twenty queries of a half, without that cache.

Queries are split into two halves (conversations whole). The weight of the encoder and the view of the
conversation are tuned on the first half; the table shows the second. The figures of the first half are
saved beside it in the results.

- no filter / filter: whether a known field of the record (the hotel) narrows the search;
- last / conversation: whether only the last turn is the query, or also the two before it with less weight;
- customer / staff: the reader, if not everybody may read all passages. The same for every engine.
"""

import argparse
import json
import os
import platform
import sqlite3
import tempfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from crmeval.core.encoder import Encoder
from crmeval.core.text import words
from crmeval.layer.grounding import KeywordRetriever, Passage
from crmeval.layer.index import Index
from crmeval.metrics.answerable import abstain_below, abstains_below, abstention_figures
from crmeval.metrics.retrieval import compare_retrievers, evaluate_retriever, retrieval_text, searcher
from crmeval.tasks.retrieval_sets import known_figures, retrieval_set, retrieval_sets
from crmeval.validation.retrievers import EVERYBODY, VIEWS, readers_of_set

RESULTS = Path(__file__).parent / "results" / "retrieval.json"
K = 10
WEIGHTS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
TIMED = 20  # queries of a half that are timed if the encoder reads them


def shown(p):
    "Return the title and text of a passage."
    return f"{p['title']}\n{p['text']}" if p.get("title") else p["text"]


def plain(passage):
    "Return the passage with each one-element list replaced by its element."
    return {k: v[0] if isinstance(v, list) and len(v) == 1 else v for k, v in passage.items()}


class Masks:
    "Filter -> which passages match it."

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
    "Base of the engines of this file: passages, filters, and the best of some scores."

    def __init__(self, passages):
        self.passages, self.masks = passages, Masks(passages)

    def best(self, scores, where, k, least=0.0):
        fit = np.flatnonzero(self.masks[where or {}] & (scores > least))
        order = fit[np.argsort(-scores[fit], kind="stable")[:k]]
        return [{"id": self.passages[i]["id"], "score": float(scores[i])} for i in order]


class Bm25s(Ranked):
    "The package bm25s with its defaults and its English stop words."

    def __init__(self, passages):
        import bm25s

        super().__init__(passages)
        self.cut = lambda t: bm25s.tokenize(t, show_progress=False, return_ids=False)
        self.engine = bm25s.BM25()
        self.engine.index(self.cut([shown(p) for p in passages]), show_progress=False)

    def search(self, query, k, where):
        tokens = self.cut([query.text])[0]
        if not tokens:
            return []
        return self.best(np.asarray(self.engine.get_scores(tokens), float), where, k)


class Fts5(Ranked):
    "SQLite FTS5 with its stemmer; every word is quoted, the filter is in SQL."

    def __init__(self, passages):
        super().__init__(passages)
        self.base = sqlite3.connect(":memory:")
        names = sorted(
            {n for p in passages for n, v in p.items() if isinstance(v, str | int | float)} - {"id", "text"}
        )
        self.columns = {n: f"f{i}" for i, n in enumerate(names)}
        more_columns = "".join(f", {c}" for c in self.columns.values())
        self.base.execute(f"CREATE TABLE p (n INTEGER PRIMARY KEY{more_columns})")
        self.base.execute("CREATE VIRTUAL TABLE w USING fts5(x, tokenize='porter unicode61')")
        marks = ", ".join("?" * (len(names) + 1))
        rows = ((n, *(p.get(name) for name in names)) for n, p in enumerate(passages))
        self.base.executemany(f"INSERT INTO p VALUES ({marks})", rows)
        self.base.executemany("INSERT INTO w(rowid, x) VALUES (?, ?)", enumerate(map(shown, passages)))

    def search(self, query, k, where):
        match = " OR ".join(f'"{w}"' for w in dict.fromkeys(words(query.text)))
        if not match:
            return []
        tests, values = "", []
        for name, wanted in (where or {}).items():
            several = wanted if isinstance(wanted, list) else [wanted]
            marks = ", ".join("?" * len(several))
            tests += f" AND rowid IN (SELECT n FROM p WHERE {self.columns[name]} IN ({marks}))"
            values += several
        statement = f"SELECT rowid, rank FROM w WHERE w MATCH ?{tests} ORDER BY rank LIMIT ?"
        found = self.base.execute(statement, (match, *values, k)).fetchall()
        return [{"id": self.passages[n]["id"], "score": -rank} for n, rank in found]


class Keyword(Ranked):
    "`KeywordRetriever`; it does not accept lists in filters, so their values are searched one by one."

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


class ByQuery:
    "An engine called with the query, as a search."

    def __init__(self, engine, filtered, who, limited):
        self.engine, self.filtered = engine, filtered
        self.more = {"allowed": [EVERYBODY, *(who or ())]} if limited else {}

    def __call__(self, query):
        where = {**(query.where if self.filtered else {}), **self.more}
        return self.engine.search(query, K, where or None)


class Shelf:
    "A set in an index, opened with a caching encoder and with one that does not cache."

    def __init__(self, s, folder, with_encoder):
        self.set, path = s, Path(folder) / f"{s.name}.index"
        self.words = Index(path, unmarked="everybody")
        self.words.add(map(dict, s.passages))
        self.both = self.fresh = None
        if with_encoder:
            self.both = Index(path, encoder=Encoder())
            self.fresh = Index(path, encoder=Encoder(remember=0))
        self.readers = readers_of_set(s.passages)
        self.fields = any(q.where for q in s.queries)
        self.turns = any(q.messages for q in s.queries)

    def ways(self):
        "Yield (prefix of the name, suffix of the name, filtered, reader)."
        for filtered in (False, True) if self.fields else (False,):
            before = ("filter, " if filtered else "no filter, ") if self.fields else ""
            for reader, who in self.readers.items():
                yield before, f", {reader}" if reader else "", filtered, who

    def views(self):
        return VIEWS if self.turns else {"last": VIEWS["last"]}

    def close(self):
        for index in (self.words, self.both, self.fresh):
            if index is not None:
                index.close()


class Asked:
    "A search of an index: with the cache for the figures, without it for the times."

    def __init__(self, shelf, filtered, who, view, how, meaning=None):
        options = {"k": K, "filtered": filtered, "words": view, "who": who, "how": how, "meaning": meaning}
        self.fresh = None if how == "words" else searcher(shelf.fresh, **options)
        self.search = searcher(shelf.words if how == "words" else shelf.both, **options)

    def __call__(self, query):
        return self.search(query)


def searches(shelf):
    "Return name -> search for everything that is not tuned."
    s = shelf.set
    made = {"SQLite FTS5": Fts5, "KeywordRetriever": Keyword}
    if find_spec("bm25s"):
        made = {"bm25s": Bm25s, **made}
    passages = [plain(p) for p in s.passages]
    engines = {name: engine(passages) for name, engine in made.items()}
    found = {}
    for before, behind, filtered, who in shelf.ways():
        for name, engine in engines.items():
            found[f"{before}{name}, last{behind}"] = ByQuery(engine, filtered, who, len(shelf.readers) > 1)
        if shelf.both:
            found[f"{before}encoder, last{behind}"] = Asked(shelf, filtered, who, VIEWS["last"], "meaning")
        for view, words_of in shelf.views().items():
            found[f"{before}Index, {view}{behind}"] = Asked(shelf, filtered, who, words_of, "words")
            if shelf.both:
                name = f"{before}Index and encoder, {view}{behind}"
                found[name] = Asked(shelf, filtered, who, words_of, "both")
    return found


def chosen(shelf, half):
    "Return name -> search with the weight and view of the best nDCG on this half, per filter and reader."
    found = {}
    for before, behind, filtered, who in shelf.ways():
        if shelf.fields and not filtered:
            continue  # if the hotel is known, searching all hotels makes no sense
        tried = {}
        for view, words_of in shelf.views().items():
            for weight in WEIGHTS:
                search = Asked(shelf, filtered, who, words_of, "both", weight)
                table = evaluate_retriever(search, half.queries, figures=["ndcg@10"])
                tried[f"{before}Index and encoder, {view}, weight {weight:g}{behind}"] = (
                    table["ndcg@10"].value,
                    search,
                )
        best = max(tried, key=lambda name: tried[name][0])
        found[best] = tried[best][1]
    return found


def evaluated(name, search, queries):
    "Return the figures of a search, with its time."
    table = evaluate_retriever(search, queries, name=name)
    if getattr(search, "fresh", None) is None:
        return table
    timed = evaluate_retriever(search.fresh, queries[:TIMED], name=name)
    return replace(table, ms_p50=timed.ms_p50, ms_p99=timed.ms_p99, cpu_ms=timed.cpu_ms)


def told(table):
    return {
        r["figure"]: {k: r[k] for k in ("value", "low", "high", "n", "undefined")} for r in table.to_dicts()
    }


def abstaining(first, second):
    "Tune a threshold on the best score on one half; return its figures on the other."
    cut = abstain_below([f.top_score for f in first.found], [f.answerable for f in first.found])
    left = abstains_below([f.top_score for f in second.found], cut)
    figures = abstention_figures(left, [f.answerable for f in second.found])
    return {name: {"value": e.value, "low": e.low, "high": e.high} for name, e in figures.items()}


def measured(name, args, folder):
    "Return all figures of one set."
    s = retrieval_set(name)
    first, second = s.halves()
    shelf = Shelf(s, args.keep or folder, not args.no_encoder)
    found = searches(shelf)
    if shelf.both:
        found.update(chosen(shelf, first))
    found = {n: search for n, search in found.items() if any(word in n for word in args.only.split("|"))}
    tables = {n: [evaluated(n, f, h.queries) for h in (first, second)] for n, f in found.items()}
    rows = {n: {"chosen on": told(a), "reported": told(b)} for n, (a, b) in tables.items()}
    print(f"\n{s!r}, second half\n{retrieval_text([b for _, b in tables.values()])}")
    result = {"set": repr(s), "systems": rows, **compared(tables), **told_apart(s, first, second, found)}
    shelf.close()
    for f in known_figures(name):
        print(f"known: {f.system}, {f.view}: {f.figure} {f.value:.2f} ({f.source})")
    return result


def compared(tables):
    "Compare the best system of the first half with the index of words, on the second."
    best = max(tables, key=lambda n: tables[n][0]["ndcg@10"].value)
    plain = next(n for n in reversed(tables) if "Index, last" in n)
    d = compare_retrievers(tables[best][1], tables[plain][1])
    print(f"{best} against {plain}: nDCG@10 {d.brief('+.3f')}, p = {d.p_value:.4f}")
    return {"best on the first half": best, "against": plain, "gain": [d.value, d.low, d.high, d.p_value]}


def told_apart(s, first, second, searches):
    "Detect unanswerable queries by the best score; without filters, which would give the answer away."
    if not s.unanswerable:
        return {}
    names = [
        n
        for n in searches
        if not n.startswith("filter") and ("Index, last" in n or ", encoder, last" in f", {n}")
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
    parser.add_argument(
        "--only", default="", help="only systems with one of these words (a|b) in their names"
    )
    parser.add_argument("--keep", help="folder in which the indexes are kept between runs")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in args.sets:
            figures = measured(name, args, folder)
            if args.write:
                keep(name, figures, args.only)


def keep(name, found, only):
    "Save the figures of a set beside those of the others."
    kept = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    if only and name in kept:
        found = {**kept[name], **found, "systems": {**kept[name]["systems"], **found["systems"]}}
    kept["machine"] = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "sqlite": sqlite3.sqlite_version,
    }
    RESULTS.write_text(json.dumps({**kept, name: found}, indent=1) + "\n")


if __name__ == "__main__":
    main()

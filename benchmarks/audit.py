"""Appends to and verifications of the audit trail per CPU second:   python benchmarks/audit.py

Records as a layer writes them: 300 characters of text, and sealed personal values in every record.
"""

import tempfile
import time
from pathlib import Path

from crmeval.layer.audit_trail import AuditTrail

RECORDS = 50_000
PERSONS = 500


def main():
    with tempfile.TemporaryDirectory() as folder:
        trail = AuditTrail(Path(folder) / "trail.jsonl")
        start = time.process_time()
        for i in range(RECORDS):
            private = {"[PERSON_K7B]": "Ana Lopes", "[EMAIL_2QX]": "ana@example.org"}
            trail.append("step", person=f"p{i % PERSONS}", private=private, user="jessica", text="a" * 300)
        appended = RECORDS / (time.process_time() - start)
        start = time.process_time()
        assert trail.verify().ok
        verified = RECORDS / (time.process_time() - start)
        trail.close()
    print(f"appends a CPU second: {appended:,.0f}; verifications: {verified:,.0f}")


if __name__ == "__main__":
    main()

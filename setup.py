"Packaging: every field comes from settings.ini, which nbdev reads too, so that nothing is said twice."

from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
# delimiters: a requirement holds '==' and must stay one value
config = ConfigParser(delimiters=["="])
config.read(here / "settings.ini", encoding="utf-8")
cfg = config["DEFAULT"]
readme = here / "README.md"

# Directories below crmeval/data are data, not packages: the wheel takes them as files.
setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=readme.read_text(encoding="utf-8") if readme.exists() else cfg["description"],
    long_description_content_type="text/markdown",
    author=cfg["author"],
    author_email=cfg["author_email"],
    license="Apache-2.0",
    keywords=cfg["keywords"].split(),
    python_requires=f">={cfg['min_python']}",
    packages=find_packages(include=["crmeval", "crmeval.*"]),
    # said, so that an editable install is a line in a .pth file: a folder called crmeval in the folder where
    # Python runs (a clone, results) is no package, and gives way to one that stands later on the path
    package_dir={"": "."},
    package_data={"crmeval": ["py.typed", "data/*", "data/*/*"]},
    include_package_data=False,
    install_requires=cfg["requirements"].split(),
    extras_require={
        # the benchmark: models, runs, tables, pages and the command line; a metric alone needs nothing of it
        "run": cfg["run_requirements"].split(),
        "dev": [
            *cfg["run_requirements"].split(),
            *cfg["connect_requirements"].split(),
            *cfg["lakes_requirements"].split(),
            *cfg["documents_requirements"].split(),
            *cfg["live_requirements"].split(),
            *cfg["dev_requirements"].split(),
        ],
        "notebook": cfg["notebook_requirements"].split(),
        "site": cfg["site_requirements"].split(),
        # the rating widget and XLSX sheets
        "rating": cfg["rating_requirements"].split(),
        # Presidio beside our own recognisers of personal data
        "privacy": cfg["privacy_requirements"].split(),
        # shards over the workers of a Ray cluster
        "ray": cfg["ray_requirements"].split(),
        # providers with an interface of their own, by a library pinned to one version
        "providers": cfg["providers_requirements"].split(),
        # a llama.cpp server; the weights of a model come apart, see Makefile
        "local": cfg["local_requirements"].split(),
        # spans of the audit trail for an exporter of OpenTelemetry
        "otel": cfg["otel_requirements"].split(),
        # the trust layer by itself: calls, policies, dates and money by locale, personal values encrypted
        "layer": cfg["layer_requirements"].split(),
        # the trust layer as a server, `crmeval gateway`
        "gateway": " ".join(cfg[f"{e}_requirements"] for e in ("run", "layer", "gateway")).split(),
        # which language a text is in, for IFEval's language instructions
        "language": cfg["language_requirements"].split(),
        # databases and files asked in SQL where they lie, and the connectors of web interfaces
        "connect": cfg["connect_requirements"].split(),
        # the same for tables of Iceberg and Delta, and for cloud warehouses
        "lakes": [*cfg["connect_requirements"].split(), *cfg["lakes_requirements"].split()],
        "warehouses": [*cfg["connect_requirements"].split(), *cfg["warehouses_requirements"].split()],
        # Word and PDF documents
        "documents": cfg["documents_requirements"].split(),
        # the tools that people already use
        "inspect": [*cfg["run_requirements"].split(), *cfg["inspect_requirements"].split()],
        "mlflow": [*cfg["run_requirements"].split(), *cfg["mlflow_requirements"].split()],
        "wandb": [*cfg["run_requirements"].split(), *cfg["wandb_requirements"].split()],
        # near-duplicates between training files and evaluation sets
        "live": [*cfg["run_requirements"].split(), *cfg["live_requirements"].split()],
        # a small sentence encoder, for judges and retrieval that ask for it
        "encoder": cfg["encoder_requirements"].split(),
    },
    entry_points={
        "console_scripts": ["crmeval=crmeval.cli:main"],
        # evidence in the reports of pytest; nothing is imported before a test asserts a score
        "pytest11": ["crmeval=crmeval.bridges.pytest_plugin"],
        # scorers and tasks that Inspect finds by name
        "inspect_ai": ["crmeval=crmeval.inspect"],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        f"Intended Audience :: {cfg['audience']}",
        *(f"Programming Language :: Python :: {version}" for version in cfg["python_versions"].split()),
        "Programming Language :: Python :: 3 :: Only",
    ],
    zip_safe=False,
)

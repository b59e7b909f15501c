"""Data sets as other programs write them: `python test/datasets/make.py` with the Python of test/clients/install.sh.

messages-*.parquet: pyarrow, in each coding that is common; a row group of two rows, then others.
preferences.parquet: the `datasets` package, texts.
"""

import pathlib

import datasets
import pyarrow
import pyarrow.parquet

here = pathlib.Path(__file__).parent
rows = [
    {
        "prompt": [{"role": "user", "content": "Say hé"}],
        "chosen": [{"role": "assistant", "content": "hé"}],
        "rejected": [{"role": "assistant", "content": "no"}] if i else None,
        "input_ids": list(range(1, 4 + i)),
        "prompt_length": i,
    }
    for i in range(5)
]
for coding in ["snappy", "zstd", "gzip", "brotli", "none"]:
    table = pyarrow.Table.from_pylist(rows)
    pyarrow.parquet.write_table(table, here / f"messages-{coding}.parquet", compression=coding, row_group_size=2)

pairs = [
    {"prompt": "def add(a, b):\n", "chosen": "    return a + b\n", "rejected": "    pass\n"},
    {"prompt": "import os\n", "chosen": "import sys\n", "rejected": "print(1)\n"},
    {"prompt": "for item in items:\n", "chosen": "    print(item)\n", "rejected": "    items = None\n"},
    {"prompt": "class Parser:\n", "chosen": "    def parse(self, text):\n", "rejected": "    x = 1\n"},
]
datasets.Dataset.from_list(pairs).to_parquet(here / "preferences.parquet")

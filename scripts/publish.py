"""One event to one channel: receipts/<channel>.json says what became of it."""

from pathlib import Path

from llama.publish.deliver import publish, sentence, write_receipt
from llama.script import logged

with logged(snakemake.log[0]):
    event_dir = Path(snakemake.wildcards.event)
    channel = snakemake.wildcards.channel
    receipt = publish(event_dir, channel, snakemake.params.destinations)
    write_receipt(event_dir, receipt)
    Path(snakemake.log[0]).write_text(f"{sentence(receipt)}\n", encoding="utf-8")

"""The summary page of a study, summary.html and .pdf."""

from llama.figures.study_page import write_study_summary
from llama.files import read_json
from llama.script import logged

with logged(snakemake.log[0]):
    source, out = snakemake.input, snakemake.output
    write_study_summary(read_json(source.sensitivity), source.figures, out.html, out.pdf)

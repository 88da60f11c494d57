"""The figures of a study: efficiency, pp_plot and distributions, each .png and .pdf."""

from llama.figures.study import draw_distributions, draw_efficiency, draw_pp
from llama.files import read_json
from llama.script import logged

with logged(snakemake.log[0]):
    study, out = read_json(snakemake.input.sensitivity), snakemake.output
    draw_efficiency(study, out.efficiency_png, out.efficiency_pdf)
    draw_pp(study, out.pp_plot_png, out.pp_plot_pdf)
    draw_distributions(study, out.distributions_png, out.distributions_pdf)

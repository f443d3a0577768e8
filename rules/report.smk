# One page that shows everything.


report: "../report/workflow.rst"


rule report:
    input:
        unpack(report_input),
    output:
        page=report(
            "results/report.html",
            caption="../report/page.rst",
            category="Report",
            labels={"figure": "the whole report on one page"},
        ),
        configuration="results/configuration.json",
    log:
        "results/logs/report.log",
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(3000, per_mb=10),
        runtime=grows(20, per_mb=0.1),
    params:
        code=code("report.py", *TEMPLATES, entries=strategies_of(*REPORTED)),
        # A function, because a text in braces would be taken for a wildcard.
        config=lambda wildcards: settings(config),
        methods=settings(METHODS),
        queries=settings(QUERIES),
        simulated=settings(SIMULATED),
        asked=settings(ASKED),
    script:
        "../scripts/report.py"

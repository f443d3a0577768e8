# One HTML file that shows everything.


report: "../report/workflow.rst"


# The configuration that the results were made with, for the search page, `cbir.open` and people.
rule configuration:
    output:
        "results/configuration.json",
    log:
        "results/logs/configuration.log",
    # Before all others, so that an unfinished run has it, too.
    priority: 100
    localrule: True
    conda:
        "../envs/workflow.yaml"
    params:
        code=code("configuration.py"),
        # A function, because a text in braces would be taken for a wildcard.
        config=lambda wildcards: settings(config),
    script:
        "../scripts/configuration.py"


rule report:
    input:
        report_input,
    output:
        report=report(
            "results/report.html",
            caption="../report/report.rst",
            category="Report",
            labels={"figure": "the whole report in one file"},
        ),
    log:
        "results/logs/report.log",
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(3000, per_mb=10),
        runtime=grows(20, per_mb=0.1),
    params:
        code=code(
            "report.py",
            *TEMPLATES,
            entries=[
                *METRICS,
                *(("report/sections", name) for name in SECTIONS),
                *strategies_of(*REPORTED),
                ("collection/sources", config["collection"]["source"]),
            ],
        ),
        # A function, because a text in braces would be taken for a wildcard.
        config=lambda wildcards: settings(config),
        names=settings(REPORT_NAMES),
        asked=settings(ASKED),
    script:
        "../scripts/report.py"

# The HTML report, and the configuration of the run.


report: "../report/workflow.rst"


# The checked configuration of the results, for users, the search page and `cbir.open`.
rule configuration:
    output:
        "results/configuration.json",
    log:
        "results/logs/configuration.log",
    # The first job, so that an unfinished run has this file, too.
    priority: 100
    localrule: True
    conda:
        "../envs/workflow.yaml"
    params:
        code=code("configuration.py"),
        # A function, because Snakemake would interpret braces in a string as wildcards.
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
    threads: 4
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
        # A function, because Snakemake would interpret braces in a string as wildcards.
        config=lambda wildcards: settings(config),
        names=settings(REPORT_NAMES),
        asked=settings(ASKED),
    script:
        "../scripts/report.py"

# One page that shows everything.


report: "../report/workflow.rst"


rule report:
    input:
        unpack(report_input),
    output:
        report(
            "results/report.html",
            caption="../report/page.rst",
            category="Report",
            labels={"figure": "the whole report on one page"},
        ),
    log:
        "results/logs/report.log",
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        code=code("report.py", *TEMPLATES),
        config=settings(config),
        methods=settings(METHODS),
        queries=settings(QUERIES),
        benchmarks="results/benchmarks",
    script:
        "../scripts/report.py"

from cbir.encoders.runtimes import RUNTIMES, Runtime, fingerprint, made_by


def test_the_default_runtime_does_not_change_the_fingerprint() -> None:
    assert Runtime() == ("tensorflow", "float32")
    assert fingerprint("f", Runtime()) == "f"


def test_runtimes_and_encoders_have_different_fingerprints() -> None:
    made = [fingerprint(encoder, runtime) for encoder in "fg" for runtime in RUNTIMES]
    assert len(set(made)) == 2 * len(RUNTIMES) == 8


def test_the_runtime_is_read_from_the_features() -> None:
    for runtime in RUNTIMES:
        assert made_by("f", fingerprint("f", runtime)) == runtime
    assert made_by("g", fingerprint("f", Runtime("openvino"))) is None

from cbir.encoders.runtimes import RUNTIMES, Runtime, fingerprint, made_by


def test_tensorflow_in_float32_is_the_default_and_leaves_an_encoder_its_fingerprint() -> None:
    assert Runtime() == ("tensorflow", "float32")
    assert fingerprint("f", Runtime()) == "f"


def test_rows_of_different_runtimes_and_encoders_are_kept_apart() -> None:
    made = [fingerprint(encoder, runtime) for encoder in "fg" for runtime in RUNTIMES]
    assert len(set(made)) == 2 * len(RUNTIMES) == 8


def test_the_runtime_is_known_by_the_features() -> None:
    for runtime in RUNTIMES:
        assert made_by("f", fingerprint("f", runtime)) == runtime
    assert made_by("g", fingerprint("f", Runtime("openvino"))) is None

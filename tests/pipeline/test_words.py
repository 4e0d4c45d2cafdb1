from __future__ import annotations

from twinset import documents
from twinset.pipeline import words


def test_every_text_for_the_terminal_is_printable() -> None:
    evil = "\x1b[2J\u202e\n\x07"
    gate = documents.GatePart(passed=False, reasons=[evil])
    verdict = documents.VerdictPart(decision="blocked_by_gate", sentence=evil, difference=None)
    score = documents.ScorePart(
        value=None, low=None, high=None, undefined_because=evil, n_real=1, n_synthetic=1, extractor=None, floor=None
    )
    detector = documents.DetectorPart(
        sha256="0",
        real_name=evil,
        synthetic_name=evil,
        generators=[evil],
        n_real=1,
        n_synthetic=1,
        held_out_real=1,
        held_out_synthetic=1,
        auc=1,
        auc_low=1,
        auc_high=1,
        thresholds={},
        seed=0,
        warnings=[evil],
    )
    plugin = documents.PluginPart(
        kind="generators", name=evil, target=evil, distribution=evil, version=evil, problem=evil
    )
    texts = [
        words.run(
            documents.RunDocument(
                run=evil,
                report=evil,
                digest="0",
                verdict=verdict,
                counts=documents.Counts(planned=1, accepted=1, rejected=0, failed=0),
                scores={},
                utility={},
                utility_metric="balanced accuracy",
                gate=gate,
                exports={"csv": evil},
                warnings=[evil],
                seconds=1,
            )
        ),
        words.plan(
            documents.PlanDocument(
                recipe={},
                training={evil: 1},
                validation={evil: 1},
                test={evil: 1},
                slots={evil: 1},
                shards=1,
                seconds={},
                bytes=1,
                missing=[evil],
                notes=[evil],
            )
        ),
        words.status(
            documents.StatusDocument(
                run=evil,
                stage="fitting",
                finished=False,
                planned=1,
                generated=0,
                accepted=None,
                seconds=1,
                stages={evil: 1},
            )
        ),
        words.comparison(
            documents.CompareDocument(
                real=evil,
                synthetic=evil,
                train=None,
                n_real=1,
                n_synthetic=1,
                scores={"fid": score},
                gate=gate,
                verdict=verdict,
                report=evil,
                warnings=[evil],
                seconds=1,
            )
        ),
        words.detection(
            documents.DetectDocument(
                source=evil,
                detector_file=evil,
                detector=detector,
                n_images=1,
                rate=0.01,
                flagged=1,
                expected_if_all_real=None,
                p_value_if_all_real=None,
                sentence=evil,
                limits=evil,
                images=[documents.DetectedImage(id=evil, score=1, false_alarm_rate=0.1, outside=0, flagged=True)],
                warnings=[evil],
                seconds=1,
            )
        ),
        words.fitted_detector(
            documents.FitDetectorDocument(
                detector_file=evil, card=evil, detector=detector, limits=evil, warnings=[evil], seconds=1
            )
        ),
        words.plugins(documents.PluginsDocument(plugins=[plugin])),
        words.doctor(documents.DoctorDocument(ok=False, environment={"cpu": evil}, extras={}, problems=[evil])),
        words.inspection([evil]),
    ]
    for text in texts:
        assert "\\x1b[2J" in text
        assert all(line.isprintable() for line in text.split("\n")), text

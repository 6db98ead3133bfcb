"""A classifier that tells melodies from real ones, by all that the other metrics see of them.

Where it cannot, nothing in these features gives the others away. It finds what one histogram after
the other misses (Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017).
"""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.metrics.statistics import FEATURES, Numbers
from melodyconstraints.melody.metrics.structure import STRUCTURE, bar_similarities

FOLDS = 5


def auc(real: Melodies, others: Melodies, seed: int = 0) -> float:
    """Area under the curve of a boosted classifier of two sets, cross-validated, in [0, 1].

    1/2: it cannot tell them apart; 1: it always can. Melodies of one tune are alike, so that a
    set with several of one is told from any other: take one of each.

    Args:
        real, others: melodies, at least :data:`FOLDS` each.
        seed: seed of the folds.
    """
    values = np.concatenate([_values(real), _values(others)])
    labels = np.repeat([0, 1], [len(real), len(others)])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    classifier = HistGradientBoostingClassifier(random_state=0)
    shares = cross_val_predict(classifier, values, labels, cv=folds, method="predict_proba")
    return float(roc_auc_score(labels, shares[:, 1]))


def _values(melodies: Melodies) -> Numbers:
    """``(B, F)`` what the classifier sees."""
    measures = {**FEATURES, **STRUCTURE, "bar_similarities": bar_similarities}
    return np.concatenate(
        [measure(melodies).reshape(len(melodies), -1) for measure in measures.values()], axis=1
    )

#!/usr/bin/env python3
"""Makes tests/golden/metrics.json: logits, what is right, and the figures that scikit-learn and scipy find.

Needs numpy, scikit-learn and scipy (their versions are in the file). The test itself needs none of them.
usage: make-golden-metrics.py [FILE=tests/golden/metrics.json]

A case: problem, V, logits [n][V], right [n] (classes), [n][V] (0 or 1) or [n] (numbers), and the figures; null where one is not
defined. Numbers are multiples
of a power of two, so that those that are equal are so in every format."""
import json, sys
import numpy as np
import scipy, sklearn
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, mean_squared_error, roc_auc_score

rng = np.random.default_rng(5)


def rounded(x, parts):
    return np.round(x * parts) / parts


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def single(n, V, signal, parts):
    right = rng.integers(0, V, n)
    right[:V] = np.arange(V)
    logits = rounded(rng.normal(size=(n, V)) + signal * np.eye(V)[right], parts)
    taken = logits.argmax(1)
    score = logits[:, 1] - logits[:, 0] if V == 2 else softmax(logits)
    return dict(problem="single_label_classification", V=V, logits=logits.tolist(), right=right.tolist(),
                accuracy=accuracy_score(right, taken), f1_macro=f1_score(right, taken, average="macro"),
                f1_weighted=f1_score(right, taken, average="weighted"), matthews=matthews_corrcoef(right, taken),
                auc=roc_auc_score(right, score, **({} if V == 2 else dict(multi_class="ovr"))))


def several(n, V, signal, parts):
    right = (rng.random((n, V)) < 0.4).astype(int)
    right[0], right[1] = 0, 1
    logits = rounded(rng.normal(size=(n, V)) + signal * (2 * right - 1), parts)
    taken = (logits > 0).astype(int)
    f1 = lambda average: f1_score(right, taken, average=average, zero_division=0)
    return dict(problem="multi_label_classification", V=V, logits=logits.tolist(), right=right.tolist(),
                accuracy=accuracy_score(right, taken), f1_macro=f1("macro"), f1_micro=f1("micro"), f1_weighted=f1("weighted"),
                auc=roc_auc_score(right, logits, average="macro"))


def numbers(n, signal, parts):
    right = rounded(rng.normal(size=n), parts)
    logits = rounded(rng.normal(size=n) + signal * right, parts)
    return dict(problem="regression", V=1, logits=logits[:, None].tolist(), right=right.tolist(),
                pearson=pearsonr(logits, right)[0], spearman=spearmanr(logits, right)[0], loss=mean_squared_error(right, logits))


cases = [single(40, 2, 1.0, 8), single(60, 2, 0.0, 1), single(50, 3, 0.8, 1 << 20), single(200, 7, 0.5, 1 << 20),
         several(50, 4, 0.7, 8), several(30, 9, 0.0, 1), numbers(40, 1.0, 8), numbers(100, -0.3, 1), numbers(12, 0.0, 1024)]
path = sys.argv[1] if len(sys.argv) > 1 else "tests/golden/metrics.json"
json.dump(dict(sklearn=sklearn.__version__, scipy=scipy.__version__, cases=cases), open(path, "w"))

"""A search over a pipeline for a table: the accuracy of the best one on test data."""

from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

x, y = load_breast_cancer(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0, stratify=y)
scale = make_column_transformer((StandardScaler(), slice(0, 15)), (MinMaxScaler(), slice(15, 30)))
net = MLPClassifier(
    hidden_layer_sizes=(32,), max_iter=60, random_state=0, early_stopping=True, beta_1=0.9
)
search = GridSearchCV(
    make_pipeline(scale, net),
    {"mlpclassifier__alpha": [1e-4, 1e-2], "mlpclassifier__learning_rate_init": [3e-3, 1e-2]},
    cv=3,
)
search.fit(x_train, y_train)
best = search.best_estimator_[-1]
assert (
    best.n_layers_ == 3 and best.coefs_[0].shape == (30, 32) and best.out_activation_ == "logistic"
)
assert search.predict_proba(x_test).shape == (len(y_test), 2)
score = search.score(x_test, y_test)

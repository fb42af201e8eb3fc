"""Instances: modules of one run draw different masks, and every pass that draws counts."""

import copy
import json
import pickle
import threading
import warnings

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import kernels as K
from fastdrop import nn
from fastdrop.io.checkpoint import read_checkpoint, restore
from fastdrop.random.seeding import current_run

ONES = np.ones((6, 200), np.float32)
LAST = 2**24 - 1


def kept(model, x=ONES):
    """The mask that a model of one dropout layer draws in its next pass."""
    return model(x).data != 0


def mask(instance=0, draw=0, **where):
    return K.keep_mask(6, 200, 0.5, instance=instance, draw=draw, **where)


def model():
    return nn.Sequential(nn.Identity(), nn.Dropout(0.5))


# ---- which number a module gets ----


def test_modules_are_numbered_in_the_order_of_their_first_mask():
    first, second, silent = model(), nn.Dropout(0.5), nn.Sequential(nn.Dropout(0.0))
    unused = model().eval()
    silent(ONES)
    unused(ONES)
    for draw in range(2):
        assert np.array_equal(kept(second), mask(0, draw))
        assert np.array_equal(kept(first), mask(1, draw))
    assert fd.random.get_instance(silent) is fd.random.get_instance(unused) is None
    assert np.array_equal(kept(unused.train()), mask(2))
    fd.manual_seed(5)
    assert np.array_equal(kept(first), mask(0, 2, seed=5))


def test_a_pass_that_fails_before_its_first_mask_takes_no_number():
    class Broken(nn.Module):
        def forward(self, x):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Broken()(ONES)
    layer = nn.Dropout(0.5)
    with fd.mask_state(rows=[1]), pytest.raises(ValueError, match="input"):
        layer(ONES)
    assert np.array_equal(kept(nn.Dropout(0.5)), mask(0))


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_copies_get_a_number_of_their_own(copied):
    student = model()
    assert np.array_equal(kept(student), mask(0))
    teacher = copied(student)
    assert fd.random.get_instance(teacher) is None and teacher.draw == 1
    assert np.array_equal(kept(teacher), mask(1, draw=1))
    assert np.array_equal(kept(student), mask(0, draw=1))


def test_a_loaded_model_gets_a_number_of_its_own(tmp_path):
    saved = model()
    kept(saved)
    fd.save(saved, tmp_path / "model.safetensors")
    loaded = fd.load(tmp_path / "model.safetensors").train()
    assert np.array_equal(kept(loaded), mask(1))


def test_inner_modules_have_the_number_of_the_outermost_one():
    inner = model()
    kept(nn.Dropout(0.5))
    outer = nn.Sequential(nn.Identity(), inner)
    assert np.array_equal(kept(outer), mask(1))
    assert fd.random.get_instance(inner) is None
    assert np.array_equal(kept(inner), mask(2))


def test_functional_calls_outside_modules_have_the_last_number():
    kept(nn.Dropout(0.5))
    for draw in range(2):
        assert np.array_equal(F.dropout(ONES, 0.5).data != 0, mask(LAST, draw))
    assert np.array_equal(kept(nn.Dropout(0.5)), mask(1))


def test_the_numbers_of_a_run_end_with_an_error():
    fd.random.set_instances({nn.Dropout(0.5): LAST - 1})
    with pytest.raises(RuntimeError, match="instances of this run are used up"):
        nn.Dropout(0.5)(ONES)
    assert fd.random.get_state()["next_instance"] == LAST
    fd.random.set_state(fd.random.get_state())
    with pytest.raises(RuntimeError, match="manual_seed"):
        nn.Dropout(0.5)(ONES)


def test_instances_that_are_set():
    a, b, c = model(), model(), model()
    fd.random.set_instances({a: 3, b: 1})
    assert np.array_equal(kept(a), mask(3)) and np.array_equal(kept(b), mask(1))
    assert np.array_equal(kept(c), mask(4))
    fd.random.set_instances({b: 4, a: None})  # c loses its number: no two modules share one
    assert [fd.random.get_instance(m) for m in (a, b, c)] == [None, 4, None]
    for wrong, error in ((LAST, ValueError), (-1, ValueError), (1.0, TypeError)):
        with pytest.raises(error, match="instance"):
            fd.random.set_instances({a: wrong})
    assert fd.random.get_instance(a) is None


def test_mask_state_sets_the_instance_without_giving_one():
    layer = model()
    with fd.mask_state(instance=9, draw=4):
        assert np.array_equal(kept(layer), mask(9, 4))
        assert np.array_equal(F.dropout(ONES, 0.5).data != 0, mask(9, 4))
    assert fd.random.get_instance(layer) is None and layer.draw == 0
    with pytest.raises(ValueError, match="instance"), fd.mask_state(instance=2**24):
        pass


# ---- runs ----


def test_each_run_counts_for_itself():
    first, second = model(), model()
    kept(first)
    with fd.random.own_run(3):
        assert np.array_equal(kept(second), mask(0, seed=3))
        assert np.array_equal(kept(first), mask(1, draw=1, seed=3))
    assert np.array_equal(kept(second), mask(1, draw=1))
    assert np.array_equal(kept(first), mask(0, draw=2))


def test_a_state_of_the_run_is_continued_with_its_instances():
    first, second, later = model(), model(), model()
    kept(first), kept(second)
    state = json.loads(json.dumps(fd.random.get_state()))
    assert state["next_instance"] == 2
    expected = kept(later)
    fd.random.set_state(state)
    later.draw = 0
    assert np.array_equal(kept(model()), expected)  # the next number is given again
    assert np.array_equal(kept(second), mask(1, draw=1))
    with fd.random.own_run(state):
        assert np.array_equal(kept(first), mask(0, draw=1))
    for wrong, error in ((2**24, ValueError), ("1", TypeError)):
        with pytest.raises(error, match="next_instance"):
            fd.random.set_state({**state, "next_instance": wrong})
    fd.random.set_state({name: state[name] for name in ("seed", "free_draw", "generators")})
    assert np.array_equal(kept(second), mask(0, draw=2))  # a state of an older version


def test_modules_are_not_kept_alive():
    layer = model()
    kept(layer)
    assert len(current_run().instances.items()) == 1
    del layer
    assert not current_run().instances.items()
    assert np.array_equal(kept(model()), mask(1))


# ---- checkpoints ----


def test_checkpoint_continues_both_models_of_a_run(tmp_path):
    other, main = model(), nn.Sequential(nn.Linear(200, 200), nn.Dropout(0.5))
    kept(other), kept(main)
    fd.save_checkpoint(tmp_path / "other", other)
    fd.save_checkpoint(tmp_path / "main", main)
    expected = [kept(other), main(ONES).data, kept(model())]
    fd.manual_seed(99)
    kept(model())  # another program has used numbers already
    other, main = model(), nn.Sequential(nn.Linear(200, 200), nn.Dropout(0.5))
    fd.load_checkpoint(tmp_path / "other", other)
    fd.load_checkpoint(tmp_path / "main", main)
    for got, right in zip([kept(other), main(ONES).data, kept(model())], expected, strict=True):
        assert np.array_equal(got, right)


def test_checkpoint_of_a_model_that_has_not_drawn(tmp_path):
    fd.save_checkpoint(tmp_path / "new", model())
    kept(model())
    loaded = model()
    kept(loaded)
    fd.load_checkpoint(tmp_path / "new", loaded)
    assert fd.random.get_instance(loaded) is None and np.array_equal(kept(loaded), mask(0))


def test_a_checkpoint_that_does_not_fit_changes_no_instance(tmp_path):
    fd.manual_seed(3)
    fd.save_checkpoint(tmp_path / "other", nn.Linear(3, 3))
    fd.manual_seed(0)
    first, second = model(), model()
    kept(first), kept(second)
    with pytest.raises(ValueError, match="does not fit"):
        fd.load_checkpoint(tmp_path / "other", second)
    assert np.array_equal(kept(second), mask(1, draw=1))
    assert np.array_equal(kept(first), mask(0, draw=1))


@pytest.mark.parametrize("wrong", [{"": 2**24 - 1}, {"": "1"}, {"9": 1}, [1], None])
def test_a_checkpoint_with_wrong_instances_is_refused(wrong, tmp_path):
    saved = model()
    kept(saved)
    fd.save_checkpoint(tmp_path / "run", saved)
    tree = read_checkpoint(tmp_path / "run")
    assert tree["instances"] == {"": 0}
    with pytest.raises(ValueError, match=r"does not fit the|has bad instances"):
        restore({**tree, "instances": wrong}, "run", saved)
    assert fd.random.get_instance(saved) == 0 and np.array_equal(kept(saved), mask(0, 1))


def test_a_checkpoint_of_an_older_version_has_instance_0(tmp_path):
    saved = model()
    kept(saved)
    fd.save_checkpoint(tmp_path / "run", saved)
    tree = read_checkpoint(tmp_path / "run")
    del tree["instances"], tree["random"]["next_instance"]
    fd.manual_seed(4)
    other, loaded = model(), model()
    kept(other), kept(loaded)
    restore(tree, "run", loaded)
    assert np.array_equal(kept(loaded), mask(0, 1))
    assert np.array_equal(kept(other), mask(1, 1))


# ---- which passes count ----


def test_dropout_in_training_mode_inside_an_evaluated_model_draws_anew():
    net = nn.Sequential(nn.Linear(200, 200), nn.Sequential(nn.ReLU(), nn.Dropout(0.5))).eval()
    net[1][1].train()
    for no_grad in (False, True):
        outputs = []
        for _ in range(3):
            if no_grad:
                with fd.no_grad():
                    outputs.append(net(ONES).data)
            else:
                outputs.append(net(ONES).data)
        assert not np.array_equal(outputs[0], outputs[1])
        assert not np.array_equal(outputs[1], outputs[2])
    assert net.draw == 6


def test_only_passes_in_training_mode_or_with_a_mask_count():
    class Functional(nn.Module):
        def forward(self, x, training):
            return F.dropout(x, 0.5, training=training)

    net = Functional().eval()
    assert np.array_equal(net(ONES, True).data != 0, mask(0, 0))
    net(ONES, False)
    assert net.draw == 1
    net.train()(ONES, False)
    assert net.draw == 2
    net.eval()
    assert np.array_equal(net(ONES, True).data != 0, mask(0, 2))
    net.draw = 2**32
    net(ONES, False)
    with pytest.raises(RuntimeError, match="draws"):
        net(ONES, True)


def test_predictions_do_not_count_and_have_instance_0():
    kept(model())
    net = nn.Sequential(nn.Linear(200, 50), nn.Dropout(0.5))
    before = fd.random.get_state()
    first = fd.mc_predict(net, ONES, samples=3, keep=True, output="raw").passes
    assert net.draw == 0 and fd.random.get_state() == before
    net(ONES)
    second = fd.mc_predict(net, ONES, samples=3, keep=True, output="raw").passes
    assert np.array_equal(first, second) and fd.random.get_instance(net) == 1


def test_gaussian_inference_is_a_prediction():
    net = nn.DropConnectLinear(200, 5, activation="relu", inference="gaussian").eval()
    before, first = fd.random.get_state(), net(ONES).data
    fd.random.set_instances({net: 7})
    assert np.array_equal(net(ONES).data, first) and net.draw == 0
    assert fd.random.get_state() == {**before, "next_instance": 8}


# ---- threads ----


def run_threads(*jobs):
    """Run the jobs in one thread each, all at the same time; the warnings that they gave."""
    ready = threading.Barrier(len(jobs), timeout=20)

    def work(job):
        ready.wait()
        job()
        ready.wait()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        threads = [threading.Thread(target=work, args=(job,)) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    return [str(warning.message) for warning in caught]


def train():
    net = model()
    for _ in range(3):
        net(ONES)


def train_in_a_run_of_its_own():
    with fd.random.own_run(1):
        train()


def test_two_threads_that_draw_in_one_run_are_warned_about_once():
    (message,) = run_threads(train, train, train)
    assert "own_run" in message
    assert run_threads(train, train) == []  # once a run
    fd.manual_seed(0)
    assert len(run_threads(train, train)) == 1


def test_the_main_thread_and_another_one_that_draw_in_turns():
    layer, turns = model(), threading.Barrier(2, timeout=20)
    layer(ONES)

    def work():
        layer(ONES)
        turns.wait()
        turns.wait()

    thread = threading.Thread(target=work)
    thread.start()
    turns.wait()
    with pytest.warns(RuntimeWarning, match="several threads"):
        layer(ONES)
    turns.wait()
    thread.join(30)


def test_the_main_thread_beside_a_thread_that_has_drawn():
    turns = threading.Barrier(2, timeout=20)

    def work():
        train()
        turns.wait()
        turns.wait()

    thread = threading.Thread(target=work)
    thread.start()
    turns.wait()
    with pytest.warns(RuntimeWarning, match="several threads"):
        train()
    turns.wait()
    thread.join(30)


def test_no_warning_without_a_shared_run():
    train()
    assert run_threads(train) == []  # one after the other
    assert run_threads(train) == []
    train()
    fd.manual_seed(0)
    train()
    assert run_threads(train_in_a_run_of_its_own, train_in_a_run_of_its_own) == []
    net = model().eval()
    predict = lambda: fd.mc_predict(net, ONES, samples=2, progress=False)  # noqa: E731
    assert run_threads(predict, predict, lambda: net(ONES)) == []


def test_modules_that_compare_equal_have_instances_of_their_own():
    class Equal(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def __eq__(self, other):
            return True

        __hash__ = None

        def forward(self, x):
            return self.drop(x)

    fd.manual_seed(0)
    first, second = Equal(), Equal()
    assert not np.array_equal(first(ONES).data, second(ONES).data)
    assert [fd.random.get_instance(module) for module in (first, second)] == [0, 1]

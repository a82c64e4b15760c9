"""Reads what `ktrdr checkpoints export` wrote: load_in_python.py torch|safetensors PYTORCH_FOLDER SAFETENSORS_FOLDER"""
import json
import struct
import sys
import zipfile

TYPES = {"F32": "f", "F64": "d", "I64": "q", "U8": "B"}
EXPECTED_MODEL = ["0.weight", "0.bias", "3.weight", "3.bias", "6.weight", "6.bias"]


def read_safetensors(path):
    """The format's own description in a few lines: {name: (dtype, shape, bytes)}"""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = (entry["dtype"], entry["shape"], data[begin:end])
    return tensors


def values(tensor):
    dtype, _, data = tensor
    return struct.unpack("<%d%s" % (len(data) // struct.calcsize(TYPES[dtype]), TYPES[dtype]), data)


def test_safetensors(_, folder):
    model = read_safetensors(folder + "/model.safetensors")
    assert sorted(model) == sorted(EXPECTED_MODEL), sorted(model)
    assert model["0.weight"][:2] == ("F32", [16, 5])
    assert len(values(model["0.weight"])) == 80 and len(set(values(model["0.weight"]))) > 70
    optimizer = read_safetensors(folder + "/optimizer.safetensors")
    assert sorted(optimizer) == sorted(
        [name + moment for name in EXPECTED_MODEL for moment in (".exp_avg", ".exp_avg_sq")] + ["step"])
    assert values(optimizer["step"]) == (640,)
    trainer = read_safetensors(folder + "/trainer.safetensors")
    assert values(trainer["schedule.learning_rate"]) == (0.00125,) and values(trainer["seed"]) == (42,)
    try:
        from safetensors import safe_open
    except ImportError:
        print("the safetensors package is not installed; its format was read by this script alone")
        return
    for name in ("model", "optimizer", "trainer", "best_model"):
        path = "%s/%s.safetensors" % (folder, name)
        with safe_open(path, framework="np") as theirs:
            assert sorted(theirs.keys()) == sorted(read_safetensors(path))
            for key, ours in read_safetensors(path).items():
                assert theirs.get_tensor(key).tobytes() == ours[2], key


def bits(tensor):
    return bytes(tensor.detach().contiguous().numpy().tobytes())


def build(state, torch):
    """The model of training_state.json, as docs/formats/checkpoint.md describes it."""
    shape = state["model"]
    activation = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid,
                  "leaky_relu": torch.nn.LeakyReLU}[shape["activation"]]
    inputs, layers = 5, []
    for width in shape["hidden_layers"]:
        layers += [torch.nn.Linear(inputs, width), activation(), torch.nn.Dropout(shape["dropout"])]
        inputs = width
    return torch.nn.Sequential(*layers, torch.nn.Linear(inputs, 3))


def check_model(torch, model, pytorch_file, safetensors_file):
    loaded = torch.load(pytorch_file, weights_only=True)
    assert list(loaded) == list(model.state_dict()) == EXPECTED_MODEL, list(loaded)
    model.load_state_dict(loaded)
    tensors = read_safetensors(safetensors_file)
    for name, parameter in model.named_parameters():
        assert list(parameter.shape) == tensors[name][1], name
        assert bits(parameter) == tensors[name][2], name


def adam_by_hand(torch, parameter, gradient, tensors, name, group):
    """One step of Adam from the checkpoint's own tensors, in float64."""
    first, second = (torch.tensor(values(tensors[name + moment]), dtype=torch.float64).reshape(parameter.shape)
                     for moment in (".exp_avg", ".exp_avg_sq"))
    beta1, beta2 = group["betas"]
    step = values(tensors["step"])[0] + 1
    gradient = gradient.double() + group["weight_decay"] * parameter.double()
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient * gradient
    denominator = (second / (1 - beta2 ** step)).sqrt() + group["eps"]
    return parameter.double() - group["lr"] * first / (1 - beta1 ** step) / denominator


def test_torch(pytorch, safetensors):
    import torch
    print("torch", torch.__version__)
    for name in ("model", "best_model", "optimizer"):
        assert zipfile.ZipFile("%s/%s.pt" % (pytorch, name)).testzip() is None, name
    state = json.load(open(pytorch + "/training_state.json"))
    model = build(state, torch)
    check_model(torch, build(state, torch), pytorch + "/best_model.pt", safetensors + "/best_model.safetensors")
    check_model(torch, model, pytorch + "/model.pt", safetensors + "/model.safetensors")

    # torch 1.13's weights_only does not know floats, not even in its own optimizer files.
    only = int(torch.__version__.split(".")[0]) >= 2
    optimizer = torch.optim.Adam(model.parameters())
    loaded = torch.load(pytorch + "/optimizer.pt", weights_only=only)
    optimizer.load_state_dict(loaded)
    group = optimizer.param_groups[0]
    assert (group["lr"], group["betas"], group["eps"]) == (0.00125, (0.9, 0.999), 1e-8), group
    assert group["lr"] == state["scheduler"]["learning_rate"]
    tensors = read_safetensors(safetensors + "/optimizer.safetensors")
    for name, parameter in model.named_parameters():
        for moment in ("exp_avg", "exp_avg_sq"):
            assert bits(optimizer.state[parameter][moment]) == tensors[name + "." + moment][2], name
        assert float(optimizer.state[parameter]["step"]) == 640

    # What Python would have saved at this point has the same keys and types.
    theirs = optimizer.state_dict()
    assert list(theirs["state"]) == list(loaded["state"]) == list(range(6))
    assert [list(entry) for entry in theirs["state"].values()] == [list(entry) for entry in loaded["state"].values()]
    if torch.__version__.startswith("1.13"):
        assert theirs["param_groups"] == loaded["param_groups"], (theirs, loaded)

    torch.manual_seed(1)
    features, labels = torch.randn(32, 5), torch.randint(0, 3, (32,))
    weights = torch.tensor(state["class_weights"])
    torch.nn.functional.cross_entropy(model(features), labels, weight=weights).backward()
    expected = {name: adam_by_hand(torch, parameter.detach(), parameter.grad, tensors, name, group)
                for name, parameter in model.named_parameters()}
    optimizer.step()
    for name, parameter in model.named_parameters():
        assert torch.allclose(parameter.double(), expected[name], rtol=1e-6, atol=1e-7), name
        assert float(optimizer.state[parameter]["step"]) == 641


if __name__ == "__main__":
    {"torch": test_torch, "safetensors": test_safetensors}[sys.argv[1]](sys.argv[2], sys.argv[3])

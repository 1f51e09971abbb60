"""What make-golden-lm.py, make-golden-vit.py and their kin share: a model's folder, training steps as PEFT takes them, and the file of what came out."""
import json, os, shutil
import peft, torch, transformers
from safetensors.torch import save_file


def start_folder(outdir, name):
    """An empty place for the case's model; random numbers begin anew."""
    path = os.path.join(outdir, name)
    shutil.rmtree(path, ignore_errors=True)
    torch.manual_seed(len(name))
    return path


def stir(model, by):
    """Biases and norms that matter."""
    with torch.no_grad():
        for _, p in model.named_parameters():
            if p.ndim == 1:
                p.add_(by * torch.randn_like(p))


def init_lora_weights(init):
    return True if init == "kaiming" else init


def trained(model):
    return {n: p for n, p in model.named_parameters() if p.requires_grad}


def plain_name(n):
    return n.removeprefix("base_model.model.").replace(".default", "")


def train(model, init, optimizer, loss_of, short, batches, out):
    """Ten steps: start and first gradients of what is trained, under short(name), and the losses go into out."""
    named = trained(model)
    for n, p in named.items():
        if "lora" in n:
            out[f"{init}.start.{short(n)}"] = p.detach().clone()
    losses = []
    for step in range(10):
        loss = loss_of(model, batches[step % 3])[0]
        loss.backward()
        if step == 0:
            for n, p in named.items():
                out[f"{init}.grad.{short(n)}"] = p.grad.detach().clone()
        torch.nn.utils.clip_grad_norm_(list(named.values()), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    out[f"{init}.losses"] = torch.tensor(losses)


def save_adapter(model, path, init, logits_of, out):
    """peft_adapter/ in the folder of the base, as if that were its name; its logits go into out."""
    adapter_dir = os.path.join(path, "peft_adapter")
    model.eval()
    with torch.no_grad():
        out[f"{init}.logits_after"] = logits_of(model)
    model.save_pretrained(adapter_dir)
    readme = os.path.join(adapter_dir, "README.md")
    if os.path.exists(readme):
        os.remove(readme)
    config_path = os.path.join(adapter_dir, "adapter_config.json")
    config = json.load(open(config_path))
    config["base_model_name_or_path"] = os.path.basename(path)
    json.dump(config, open(config_path, "w"), indent=2, sort_keys=True)


def save_golden(path, out):
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
    save_file({k: v.contiguous().clone() for k, v in out.items()}, os.path.join(path, "golden.safetensors"), metadata=versions)
    size = sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(path) for f in files)
    losses = {k: [round(x, 5) for x in out[f"{k}.losses"].tolist()] for k in ("kaiming", "pissa")}
    print(os.path.basename(path), versions, size, "bytes", losses)

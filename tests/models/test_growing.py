from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from gancli.errors import ConfigError
from gancli.models.growing import set_fade
from gancli.models.registry import NetworkSpec, build_networks

GROWING = ["compact", "dcgan", "progan", "r3gan", "sngan", "wgan_resnet"]
SPEC = NetworkSpec(latent_dim=8, width=16, size=(16, 16), channels=3)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def grown(family, times=1, **changes):
    torch.manual_seed(0)
    spec = replace(SPEC, **changes)
    parent = build_networks(family, spec)
    size = (spec.size[0] * 2**times, spec.size[1] * 2**times)
    child = build_networks(family, replace(spec, size=size, grown=times))
    return parent, child


@pytest.mark.parametrize("family", GROWING)
def test_first_image_after_growing_scaled_down_is_the_parents_last(family):
    parent, child = grown(family)
    for old, new in zip(parent, child, strict=True):
        new.inner.load_state_dict(old.state_dict())
        old.eval()
        new.eval()
    z = torch.randn(3, 8)
    large = child.generator(z)
    assert large.shape == (3, 3, 32, 32)
    assert torch.allclose(F.avg_pool2d(large, 2), parent.generator(z), atol=1e-6)
    assert torch.allclose(child.discriminator(large), parent.discriminator(parent.generator(z)), atol=1e-4)


@pytest.mark.parametrize("family", GROWING)
def test_new_layers_fade_in_and_then_carry_everything(family):
    _, child = grown(family)
    z, x = torch.randn(4, 8), torch.rand(4, 3, 32, 32)
    for module, given in zip(child, (z, x), strict=True):
        module.eval()
        outputs = []
        for alpha in (0.0, 0.5, 1.0):
            set_fade(alpha, module)
            outputs.append(module(given))
        assert not torch.allclose(outputs[0], outputs[2])
        assert not torch.allclose(outputs[1], outputs[2])
        outputs[2].square().sum().backward()
        fresh = [p for name, p in module.named_parameters() if not name.startswith("inner.")]
        assert fresh
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in fresh)


@pytest.mark.parametrize("family", GROWING)
def test_growing_twice_keeps_the_first_parent_and_older_stages_faded_in(family):
    _, child = grown(family, times=2, num_classes=2, size=(16, 24))
    labels = torch.tensor([0, 1])
    set_fade(1.0, child.generator.inner, child.discriminator.inner)
    set_fade(0.25, *child)
    assert child.generator.alpha == 0.25
    assert child.generator.inner.alpha == 1.0
    images = child.generator(torch.randn(2, 8), labels)
    assert images.shape == (2, 3, 96, 64)
    assert child.discriminator(images, labels).shape == (2,)


def test_how_far_it_has_faded_in_is_in_the_state():
    _, child = grown("progan")
    set_fade(0.4, child.generator)
    _, other = grown("progan")
    other.generator.load_state_dict(child.generator.state_dict())
    z = torch.randn(2, 8)
    assert torch.equal(other.generator(z), child.generator(z))


def test_networks_that_cannot_grow_are_named():
    with pytest.raises(ConfigError, match=r"the networks of vanilla and of fastgan cannot grow\. Grow .* r3gan-l"):
        grown("mlp")
    with pytest.raises(ConfigError, match="fastgan"):
        grown("fastgan")

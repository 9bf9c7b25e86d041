import copy

import pytest
import torch

from gancli.errors import ConfigError
from gancli.models.layers import PixelNorm
from gancli.models.registry import NetworkSpec, build_networks
from gancli.recipes import RECIPES

IMAGE_FAMILIES = sorted({r.networks for r in RECIPES.values() if r.sizes != "points"})
NORMLESS = ["compact", "mlp", "progan", "wgan_resnet", "r3gan"]
SIZES = [(32, 32), (48, 32), (28, 28)]
BOUNDED = [f for f in IMAGE_FAMILIES if f != "r3gan"]  # no tanh there, as published


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build(family, size=(32, 32), channels=3, num_classes=0, dropout=0.0, seed=0):
    torch.manual_seed(seed)
    spec = NetworkSpec(latent_dim=16, width=16, size=size, channels=channels, num_classes=num_classes, dropout=dropout)
    return build_networks(family, spec)


def latents(num, dim=16):
    return torch.randn(num, dim, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("family", IMAGE_FAMILIES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_have_the_asked_shape_and_each_gets_one_logit(family, size, channels):
    generator, discriminator = build(family, size, channels)
    images = generator(latents(4))
    assert images.shape == (4, channels, size[1], size[0])
    assert images.isfinite().all()
    if family in BOUNDED:
        assert images.abs().max() <= 1
    logits = discriminator(images)
    assert logits.shape == (4,)
    assert discriminator.features(images).dim() == 2
    assert len(discriminator.features(images)) == 4


@pytest.mark.parametrize("family", IMAGE_FAMILIES)
@pytest.mark.parametrize("size", [(8, 8), (64, 64), (96, 64)])
def test_smallest_and_larger_sizes_work(family, size):
    generator, discriminator = build(family, size, 3)
    images = generator(latents(2))
    assert images.shape == (2, 3, size[1], size[0])
    assert discriminator(images).shape == (2,)


@pytest.mark.slow
@pytest.mark.parametrize("family", IMAGE_FAMILIES)
@pytest.mark.parametrize("side", [128, 160, 192, 256, 512, 1024])
def test_every_size_that_is_offered_can_be_made(family, side):
    torch.manual_seed(0)
    spec = NetworkSpec(latent_dim=8, width=16 if family == "r3gan" else 4, size=(side, side), channels=3)
    generator, discriminator = build_networks(family, spec)
    images = generator(latents(2, 8))
    assert images.shape == (2, 3, side, side)
    assert discriminator(images).shape == (2,)


@pytest.mark.parametrize("family", IMAGE_FAMILIES)
@pytest.mark.parametrize("num_classes", [0, 3])
def test_every_parameter_gets_a_gradient(family, num_classes):
    generator, discriminator = build(family, num_classes=num_classes)
    for module in (generator, discriminator):
        _leave_the_start(module)
    labels = torch.tensor([0, 1, 2, 1]) if num_classes else None
    images = generator(latents(4), labels)
    loss = discriminator(images, labels).square().sum()
    if hasattr(discriminator, "judge_and_redraw"):
        loss = loss + discriminator.judge_and_redraw(torch.rand(4, 3, 32, 32), labels, 0)[1]
    loss.backward()
    for module in (generator, discriminator):
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("family", IMAGE_FAMILIES)
def test_labels_change_the_image_and_the_logit(family):
    generator, discriminator = build(family, num_classes=3)
    _leave_the_start(generator)
    generator.eval()
    discriminator.eval()
    first, second = torch.zeros(4, dtype=torch.long), torch.full((4,), 2)
    images = generator(latents(4), first)
    assert not torch.allclose(images, generator(latents(4), second))
    assert not torch.allclose(discriminator(images, first), discriminator(images, second))


@pytest.mark.parametrize("family", IMAGE_FAMILIES)
def test_state_round_trips_to_the_same_image_and_logit(family):
    generator, discriminator = build(family)
    discriminator(generator(latents(4)))  # batch and power-iteration statistics move
    other_g, other_d = build(family, seed=1)
    other_g.load_state_dict(generator.state_dict())
    other_d.load_state_dict(discriminator.state_dict())
    for module in (generator, discriminator, other_g, other_d):
        module.eval()
    images = generator(latents(4))
    assert torch.equal(images, other_g(latents(4)))
    assert torch.equal(discriminator(images), other_d(images))
    assert torch.equal(copy.deepcopy(generator)(latents(4)), images)


@pytest.mark.parametrize("family", IMAGE_FAMILIES)
def test_an_image_in_eval_mode_does_not_depend_on_its_batch(family):
    generator, _ = build(family)
    generator(latents(8))
    generator.eval()
    together = generator(latents(8))
    alone = torch.cat([generator(latents(8)[i : i + 1]) for i in range(8)])
    assert torch.allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("family", NORMLESS)
def test_a_penalty_is_per_image_without_batch_statistics(family):
    _, discriminator = build(family)
    x = torch.rand(4, 3, 32, 32, requires_grad=True)
    if family == "progan":
        pytest.skip("its minibatch deviation couples the images of a group on purpose")
    (grad,) = torch.autograd.grad(discriminator(x)[0], x, create_graph=True)
    assert grad[1:].abs().max() == 0
    grad.square().sum().backward()
    assert all(p.grad is not None for p in discriminator.parameters() if p.dim() > 1)


@pytest.mark.parametrize(
    ("family", "width", "size", "latent_dim", "generator_m", "discriminator_m"),
    [
        ("dcgan", 64, 64, 100, 3.58, 2.77),  # Radford's, counted
        ("r3gan", 768, 32, 64, 20.73, 20.68),  # the paper's Stacked MNIST configuration
        ("r3gan", 768, 64, 64, 22.43, 22.38),  # the paper's FFHQ-64 configuration
        ("sngan", 256, 32, 128, 4.28, 1.05),  # the mimicry library's
    ],
)
def test_published_sizes(family, width, size, latent_dim, generator_m, discriminator_m):
    spec = NetworkSpec(latent_dim=latent_dim, width=width, size=(size, size), channels=3)
    with torch.device("meta"):
        networks = build_networks(family, spec)
    counts = [sum(p.numel() for p in module.parameters()) / 1e6 for module in networks]
    assert counts == pytest.approx([generator_m, discriminator_m], abs=0.01)


def test_spectral_norm_holds_every_layer_at_one():
    _, discriminator = build("sngan")
    for _ in range(200):
        discriminator(torch.rand(2, 3, 32, 32))
    weights = [m.weight for m in discriminator.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(weights) == 11
    for weight in weights:
        assert torch.linalg.matrix_norm(weight.flatten(1), ord=2).item() == pytest.approx(1, abs=0.02)


def test_r3gan_blocks_are_the_identity_at_the_start_and_without_norms():
    generator, discriminator = build("r3gan")
    for module in (generator, discriminator):
        kinds = {type(m).__name__ for m in module.modules()}
        assert not any("Norm" in kind for kind in kinds)
        zero = [name for name, p in module.named_parameters() if name.endswith("narrow.weight") and not p.any()]
        assert len(zero) == 2 * 4


def test_r3gan_width_off_its_groups_is_named():
    with pytest.raises(ConfigError, match="nearest width that works is 48"):
        build_networks("r3gan", NetworkSpec(latent_dim=4, width=50, size=(32, 32), channels=3))


def kinds(module):
    """The layers that matter of a network, in order, as short texts."""
    found = []
    for layer in module.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            found.append(f"{layer.in_channels}>{layer.out_channels} k{layer.kernel_size[0]} s{layer.stride[0]}")
        elif isinstance(layer, torch.nn.Linear):
            found.append(f"{layer.in_features}>{layer.out_features}")
        elif isinstance(layer, torch.nn.GroupNorm | torch.nn.BatchNorm2d | torch.nn.Dropout | PixelNorm):
            found.append(type(layer).__name__)
    return found


def published(family, **given):
    with torch.device("meta"):
        return build_networks(family, NetworkSpec(size=(64, 64), channels=3, **given))


def test_the_wgan_gp_residual_pair_is_the_published_one():
    generator, critic = published("wgan_resnet", latent_dim=128, width=64)
    assert kinds(generator)[0] == "128>8192"  # 4 x 4 x 512
    widths = [(block.conv1.in_channels, block.conv1.out_channels) for block in generator.blocks]
    assert widths == [(512, 512), (512, 256), (256, 128), (128, 64)]
    assert kinds(generator.blocks[1]) == [
        "BatchNorm2d",
        "512>256 k3 s1",
        "BatchNorm2d",
        "256>256 k3 s1",
        "512>256 k1 s1",
    ]
    assert kinds(critic)[0] == "3>64 k3 s1"
    widths = [(block.conv1.in_channels, block.conv2.out_channels) for block in critic.blocks]
    assert widths == [(64, 128), (128, 256), (256, 512), (512, 512)]
    assert kinds(critic.blocks[0]) == ["GroupNorm", "64>64 k3 s1", "GroupNorm", "64>128 k3 s1", "64>128 k1 s1"]
    assert kinds(critic)[-1] == "8192>1"


def test_the_fish_pair_has_the_parts_that_its_project_names():
    generator, critic = published("progan", latent_dim=128, width=64, dropout=0.5)
    assert kinds(generator).count("PixelNorm") == 2 * 4 + 2  # each convolution, the latent, the first map
    assert [kind for kind in kinds(critic) if "k4 s2" in kind] == [
        "3>64 k4 s2",
        "64>128 k4 s2",
        "128>256 k4 s2",
        "256>256 k4 s2",
    ]
    assert "257>256 k3 s1" in kinds(critic)  # one more map: the minibatch deviation
    assert critic.dropout.p == 0.5
    assert not {"BatchNorm2d", "GroupNorm"} & set(kinds(critic))


def test_fastgan_widths_and_leaps_are_the_published_ones():
    with torch.device("meta"):
        pair = build_networks("fastgan", NetworkSpec(latent_dim=256, width=64, size=(256, 256), channels=3))
    # the GLU halves the channels: twice 1024 at 4 px, then 512, 256, 128, 128, 64, 32
    assert kinds(pair.generator.start) == ["256>2048 k4 s1", "BatchNorm2d"]
    assert [kinds(up)[0] for up in pair.generator.ups] == [
        "1024>1024 k3 s1",
        "512>512 k3 s1",
        "256>256 k3 s1",
        "128>256 k3 s1",
        "128>128 k3 s1",
        "64>64 k3 s1",
    ]
    # 4 to 64 px, 8 to 128, 16 to 256
    leaps = [(skip.gate[1].in_channels, skip.gate[1].out_channels) for skip in pair.generator.skips]
    assert leaps == [(1024, 128), (512, 64), (256, 32)]
    assert all(layer.bias is None for layer in pair.generator.modules() if isinstance(layer, torch.nn.Conv2d))


def test_fastgan_redraws_the_quadrant_that_the_draw_names():
    _, discriminator = build("fastgan")
    discriminator.eval()
    reals = torch.rand(2, 3, 32, 32)
    judged = [discriminator.judge_and_redraw(reals, None, draw) for draw in range(5)]
    assert all(torch.equal(logits, discriminator.patch_logits(reals)) for logits, _ in judged)
    losses = [float(loss.detach()) for _, loss in judged]
    assert losses[0] == losses[4]
    assert len(set(losses)) == 4


def test_fastgan_judges_patches_whose_mean_is_the_logit():
    spec = NetworkSpec(latent_dim=16, width=16, size=(64, 64), channels=3, num_classes=3)
    discriminator = build_networks("fastgan", spec).discriminator.eval()
    images, labels = torch.randn(2, 3, 64, 64), torch.tensor([0, 2])
    patches = discriminator.patch_logits(images, labels)
    assert patches.shape == (2, 25 + 25)  # 5 x 5 of each branch, as published
    assert torch.allclose(patches.mean(1), discriminator(images, labels))
    discriminator.train()(images, labels)
    for _ in range(20):
        embedding = discriminator.project.embed.weight
    assert float(torch.linalg.matrix_norm(embedding.detach(), 2)) == pytest.approx(1, abs=0.05)


def test_fastgan_noise_is_for_training_only():
    generator, _ = build("fastgan")
    _leave_the_start(generator)
    assert not torch.equal(generator(latents(4)), generator(latents(4)))
    generator.eval()
    assert torch.equal(generator(latents(4)), generator(latents(4)))


def test_compact_normalises_in_the_generator_alone():
    generator, discriminator = build("compact")
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in generator.modules())
    assert not any("Norm" in type(m).__name__ for m in discriminator.modules())


def test_compact_leaves_no_checkerboard_before_it_learns():
    generator, _ = build("compact", (64, 64))
    maps, _ = generator.eval().draw(latents(8), None)
    # the pixels of a doubled map fall into four places; a transposed convolution gives each its own deviation
    deviations = torch.stack([maps[:, :, y::2, x::2].std() for y in (0, 1) for x in (0, 1)])
    assert deviations.max() / deviations.min() < 1.1


@torch.no_grad()
def test_compact_grain_follows_the_latent_smoothly_and_is_rough_in_the_picture():
    generator, _ = build("compact", (64, 64))
    grain = generator.ups[-1].grain
    z = latents(512)
    noise = grain(torch.zeros(512, 16, 64, 64), z)[:, 0] / grain.weight[0, 0]
    assert noise.std() == pytest.approx(1, abs=0.1)
    beside = (noise[:, :, 1:] * noise[:, :, :-1]).mean()
    assert abs(beside) < 0.1
    again = grain(torch.zeros(1, 16, 64, 64), 0.5 * z[:1] + 0.5 * z[1:2])[:, 0] / grain.weight[0, 0]
    assert torch.allclose(again, (noise[:1] + noise[1:2]) / 2, atol=1e-4)


def test_compact_has_no_grain_where_its_directions_would_fill_the_memory():
    with torch.device("meta"):
        spec = NetworkSpec(latent_dim=128, width=32, size=(1024, 1024), channels=3)
        generator, _ = build_networks("compact", spec)
    assert sum(b.numel() for b in generator.buffers()) * 4 < 20e6


def test_toy_networks_make_points_from_spread_kinks():
    torch.manual_seed(0)
    spec = NetworkSpec(latent_dim=16, width=64, size=(0, 0), channels=2)
    generator, discriminator = build_networks("toy", spec)
    points = generator(latents(8))
    assert points.shape == (8, 2)
    assert discriminator(points).shape == (8,)
    assert discriminator.features(points).shape == (8, 64)
    assert discriminator.layers[0].bias.std() > 0.4
    assert discriminator.layers[2].bias.abs().max() <= 0.1


def _leave_the_start(module):
    """Weights that start at zero would hide what lies before them."""
    for name, parameter in module.named_parameters():
        if not parameter.any() and parameter.requires_grad and ("narrow" in name or name.endswith(".weight")):
            torch.nn.init.normal_(parameter, 0.0, 0.1)

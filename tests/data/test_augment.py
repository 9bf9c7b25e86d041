import pytest
import torch

from gancli.data.ada import AdaController
from gancli.data.augment import POLICIES, AugmentPlan, apply_augmentation, draw_augmentation
from gancli.data.resample import sample_affine, sample_affine_smooth, shift_pixels
from gancli.errors import CheckpointError

BUSY = [name for name in POLICIES if name != "none"]


def draw(policy, num, size, channels, seed=0, p=0.7):
    return draw_augmentation(policy, num, size, channels, torch.Generator().manual_seed(seed), p)


def some_images(num, size, channels, seed=1):
    width, height = size
    return torch.rand(num, channels, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(16, 16), (24, 16)])
def test_every_policy_keeps_the_shape_and_is_finite(policy, channels, size):
    images = some_images(6, size, channels)
    out = apply_augmentation(images, draw(policy, 6, size, channels))
    assert out.shape == images.shape
    assert out.isfinite().all()
    assert torch.equal(out, images) == (policy == "none")


@pytest.mark.parametrize("policy", BUSY)
def test_a_slice_of_the_plan_is_what_the_whole_batch_would_get(policy):
    images = some_images(8, (16, 16), 3)
    plan = draw(policy, 8, (16, 16), 3)
    whole = apply_augmentation(images, plan)
    parts = [apply_augmentation(images[a:b], plan.part(a, b)) for a, b in ((0, 3), (3, 8))]
    assert torch.allclose(torch.cat(parts), whole, atol=1e-6)


@pytest.mark.parametrize("policy", BUSY)
def test_each_image_gets_its_own_draw_and_the_generator_decides(policy):
    images = some_images(1, (16, 16), 3).expand(8, -1, -1, -1)
    out = apply_augmentation(images, draw(policy, 8, (16, 16), 3, p=1.0))
    assert len({tuple(image.flatten().tolist()) for image in out}) == 8
    assert torch.equal(out, apply_augmentation(images, draw(policy, 8, (16, 16), 3, p=1.0)))
    assert not torch.equal(out, apply_augmentation(images, draw(policy, 8, (16, 16), 3, seed=5, p=1.0)))


@pytest.mark.parametrize("policy", BUSY)
def test_no_more_and_no_fewer_random_numbers_for_another_p(policy):
    after = []
    for p in (0.0, 0.3, 1.0):
        generator = torch.Generator().manual_seed(0)
        draw_augmentation(policy, 4, (16, 16), 3, generator, p)
        after.append(torch.rand(1, generator=generator).item())
    assert len(set(after)) == 1


@pytest.mark.parametrize("policy", BUSY)
def test_images_that_are_not_struck_are_untouched_to_the_bit(policy):
    images = some_images(64, (16, 16), 3)
    same = [
        (apply_augmentation(images, draw(policy, 64, (16, 16), 3, p=p)) == images).flatten(1).all(1).float().mean()
        for p in (0.0, 0.1, 1.0)
    ]
    assert same[0] == 1
    assert 0.2 < same[1] < 0.98
    assert same[2] == 0


@pytest.mark.parametrize("policy", ["light", "photo"])
def test_own_strength_leaves_the_plain_image_in_the_mixture(policy):
    images = some_images(400, (8, 8), 3)
    plan = draw_augmentation(policy, 400, (8, 8), 3, torch.Generator().manual_seed(0))
    struck = 1 - (apply_augmentation(images, plan) == images).flatten(1).all(1).float().mean()
    assert 0.5 < struck < 0.8


@pytest.mark.parametrize("policy", BUSY)
@pytest.mark.parametrize("channels", [1, 3])
def test_penalty_on_the_image_before_augmentation_differentiates_twice(policy, channels):
    torch.manual_seed(0)
    plan = draw(policy, 2, (8, 8), channels)

    def logit(x):
        return apply_augmentation(x, plan).pow(3).sum((1, 2, 3))

    x = some_images(2, (8, 8), channels).double().requires_grad_()
    assert torch.autograd.gradcheck(logit, x, fast_mode=True)
    assert torch.autograd.gradgradcheck(logit, x, fast_mode=True)


def test_r1_through_augmentation_gives_weights_a_gradient():
    weight = torch.full((3, 16, 16), 0.1, requires_grad=True)
    x = some_images(4, (16, 16), 3).requires_grad_()
    out = apply_augmentation(x, draw("ada", 4, (16, 16), 3)) * weight
    (grad,) = torch.autograd.grad(out.square().sum(), x, create_graph=True)
    grad.square().sum().backward()
    assert weight.grad is not None
    assert weight.grad.abs().sum() > 0


def test_a_recipe_may_let_colours_be_struck_less_often_and_cut_a_square_out_or_not():
    def plan(policy, **variant):
        return draw_augmentation(policy, 4000, (16, 16), 3, torch.Generator().manual_seed(0), 0.6, **variant)

    def struck(drawn):
        return float((drawn.colour - torch.eye(3, 4)).abs().flatten(1).amax(1).gt(0).float().mean())

    # five operations, one of which changes something half of the time
    assert struck(plan("ada")) == pytest.approx(1 - 0.4**4 * 0.7, abs=0.02)
    assert struck(plan("ada", colour=0.5)) == pytest.approx(1 - 0.7**4 * 0.85, abs=0.02)
    assert plan("ada").hole is None
    assert plan("diffaugment", cutout=False).hole is None
    cut = apply_augmentation(torch.ones(4000, 3, 16, 16), draw_holes(plan("ada", cutout=True)))
    assert float((cut == 0).flatten(1).any(1).float().mean()) == pytest.approx(0.6, abs=0.03)
    assert torch.equal(plan("ada").affine, plan("ada", colour=0.5, cutout=True).affine)


def draw_holes(plan):
    """The plan with its squares alone."""
    return AugmentPlan(num=plan.num, hole=plan.hole)


def test_whole_pixel_moves_and_turns_are_exact():
    image = some_images(1, (12, 8), 3)
    eye = torch.eye(3)[:2][None]
    assert torch.allclose(sample_affine(image, eye), image, atol=1e-5)
    moved = eye.clone()
    moved[0, :, 2] = torch.tensor([2.0, -1.0])  # output looks 2 px right, 1 px up
    assert torch.allclose(sample_affine(image, moved)[:, :, 1:, :-2], image[:, :, :-1, 2:], atol=1e-5)
    turned = eye.clone()
    turned[0, :2, :2] *= -1
    assert torch.allclose(sample_affine(image, turned), image.flip(2, 3), atol=1e-5)


def test_smooth_sampler_without_a_move_is_the_identity():
    image = some_images(1, (20, 16), 3)
    out = sample_affine_smooth(image, torch.eye(3)[:2][None])
    assert torch.allclose(out[:, :, 6:-6, 6:-6], image[:, :, 6:-6, 6:-6], atol=1e-5)


def test_smooth_sampler_does_not_alias_when_shrinking():
    stripes = torch.ones(1, 1, 32, 32)
    stripes[..., ::2] = -1  # the finest pattern there is
    half = torch.eye(3)[:2][None] * 2.0
    assert sample_affine_smooth(stripes, half)[..., 10:-10, 10:-10].abs().max() < 0.4


def test_shift_moves_whole_pixels_and_brings_in_zeros():
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    out = shift_pixels(image, torch.tensor([[1, -1]]))
    assert out[0, 0].tolist() == [[0, 0, 0], [1, 2, 0], [4, 5, 0]]


def test_diffaugment_draws_stay_in_the_published_ranges():
    plan = draw("diffaugment", 4000, (64, 32), 3, p=1.0)
    assert plan.shift[:, 0].min() == -4
    assert plan.shift[:, 0].max() == 4
    assert plan.shift[:, 1].abs().max() == 8
    assert 0.5 <= plan.contrast.min() < 0.51
    assert 1.49 < plan.contrast.max() <= 1.5
    assert plan.colour[:, 0, 3].abs().max() <= 0.5
    zeros = (apply_augmentation(torch.ones(4000, 3, 32, 64), plan) == 0).float().mean((1, 2, 3))
    assert zeros.max() < 0.5
    assert zeros.min() > 0.05  # a square of half the side, at most three quarters of it beyond a corner


def test_photo_gains_and_brightness_stay_in_the_fish_ranges():
    plan = draw("photo", 4000, (32, 32), 3, p=1.0)
    gains = plan.colour[:, [0, 1, 2], [0, 1, 2]]
    assert gains.min() >= 0.8 * 0.6
    assert gains.max() <= 1.4 * 1.4
    assert gains.mean() == pytest.approx(1.1, abs=0.01)
    assert (gains.std(1) > 0).all()
    black = apply_augmentation(torch.full((4000, 3, 8, 8), -1.0), draw("photo", 4000, (8, 8), 3, p=1.0))
    assert torch.allclose(black, torch.tensor(-1.0), atol=1e-5)


def test_colour_leaves_alpha_and_grey_alone():
    images = some_images(8, (16, 16), 4)
    plan = draw("ada", 8, (16, 16), 4, p=0.9)
    colour_only = plan.__class__(num=8, colour=plan.colour, contrast=None)
    out = apply_augmentation(images, colour_only)
    assert torch.equal(out[:, 3], images[:, 3])
    assert not torch.equal(out[:, :3], images[:, :3])


def test_controller_rises_when_d_is_sure_and_falls_when_it_is_not():
    controller = AdaController(full_kimg=1.0)
    for _ in range(4):
        controller.update(0.9, 10)
    assert controller.p == pytest.approx(0.04)
    for _ in range(3):
        controller.update(0.1, 10)
    assert controller.p == pytest.approx(0.04)
    controller.update(0.1, 10)
    assert controller.p == 0
    for _ in range(400):
        controller.update(1.0, 10)
    assert controller.p == 0.8


def test_controller_state_round_trips_in_the_middle_of_an_interval():
    one = AdaController(full_kimg=1.0)
    for _ in range(6):
        one.update(0.9, 10)
    two = AdaController.from_state(one.state_dict())
    for _ in range(5):
        one.update(0.7, 10)
        two.update(0.7, 10)
    assert one == two
    with pytest.raises(CheckpointError):
        AdaController.from_state({"p": 3.0})
    with pytest.raises(CheckpointError):
        AdaController.from_state({"x": 3.0})

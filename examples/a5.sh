#!/usr/bin/env bash
# The course project A5: two half circles, MNIST by perceptrons, photos by DCGAN.
#
# Usage   a5.sh MNIST PHOTOS    a folder with MNIST's IDX files, a folder of photos; --quick needs neither.
# Needs   the two folders, no network; a processor is enough.
# Takes   on one core: arcs about 3 minutes, MNIST about 40, DCGAN on 4,000 photos (WIDTH=32) about 25.
# Shows   D(x) and D(G(z)) near .45 on the arcs, as reported there, and beside it what that does not show: how many of
#         the points lie on each arc. A probability near a half is no evidence of coverage.
#         On MNIST D(x) ends at .61 and D(G(z)) at .39 with plain labels, which is what the course reports; with the
#         smoothing that its text names it would be .56 and .34. Batches of photos are of 16 (the course had 50,000 of
#         them, and batches of 100).
set -euo pipefail
EPOCHS=${EPOCHS:-30} ARC_EPOCHS=200 WIDTH=${WIDTH:-32} MNIST=${1:-} PHOTOS=${2:-}
VANILLA=(--model vanilla --latent-dim 100 --dropout 0.3 --lr 2e-4 --betas 0.5,0.999)
if [ "$MNIST" = --quick ]; then
    EPOCHS=1 ARC_EPOCHS=1 WIDTH=8
    PHOTOS=$(gan scrape photos --from demo -n 48 -o photos)
    MNIST=digits # 200 squares of noise in MNIST's own file format
    mkdir -p digits
    { printf '\0\0\10\3\0\0\0\310\0\0\0\34\0\0\0\34' && head -c 156800 /dev/urandom; } > digits/train-images-idx3-ubyte
fi

gan train toy:arcs "${VANILLA[@]}" --label-smoothing 0.1 --width 64 --batch 128 --d-every 2 \
    --epochs "$ARC_EPOCHS" -o arcs-run
gan evaluate arcs-run
gan train "idx:$MNIST" "${VANILLA[@]}" --label-smoothing 0 --batch 100 --epochs "$EPOCHS" -o mnist-run
gan sample mnist-run -n 64
gan train "$PHOTOS" --model dcgan --width "$WIDTH" --size "$([ "$WIDTH" = 8 ] && echo 16 || echo 64)" --batch 16 \
    --label-smoothing 0.1 --lr 2e-4 --d-lr 1e-4 --d-every 2 --epochs "$EPOCHS" -o photos-run
gan interpolate photos-run --strip 10

/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounds and choices of options that several commands have: those of the plan's fields, so that
 * what was tried at a desk can be put into a plan (tests/unit/services/test_commands.c compares).
 */
#ifndef RN_SERVICES_CLI_KIT_BOUNDS_H
#define RN_SERVICES_CLI_KIT_BOUNDS_H

#define RN_BOUNDS_RANK .least = 1, .most = 512
#define RN_BOUNDS_ALPHA .least = 0x1p-10, .most = 0x1p14
#define RN_BOUNDS_RATE .least = 0, .most = 100
#define RN_BOUNDS_DECAY .least = 0, .most = 1
#define RN_BOUNDS_WARMUP .least = 0, .most = 1000000
#define RN_BOUNDS_CLIP .least = 0, .most = 1000000
#define RN_BOUNDS_BATCH .least = 1, .most = 4096
#define RN_BOUNDS_STEPS .least = 1, .most = 1000000
#define RN_BOUNDS_LENGTH .least = 8, .most = 32768
#define RN_BOUNDS_SEED .least = 0, .most = 0x1p53
#define RN_BOUNDS_THREADS .least = 0, .most = 64
#define RN_BOUNDS_ROUNDS .least = 1, .most = 100000
#define RN_BOUNDS_EPSILON .least = 0, .most = 1e6
#define RN_BOUNDS_SCALE .least = 0x1p-30, .most = 0x1p20
#define RN_BOUNDS_MEMBERS .least = 1, .most = 1024
#define RN_BOUNDS_TIMEOUT .least = 1, .most = 3600

#define RN_CHOICES_BACKEND "cpu|cpu-bf16|cpu-bf16-residual-f32|ref|cuda"
#define RN_CHOICES_KERNELS "auto|amx|onednn|float32"
#define RN_CHOICES_DATA_FORMAT "tsv|tsv-quoted|csv|csv-semicolon|jsonl"
#define RN_CHOICES_ENCODING "utf-8|latin-1|windows-1252"
#define RN_CHOICES_METHOD "rolora|ffa-lora|fedavg-lora"
#define RN_CHOICES_WEIGHTS "uniform|examples"
#define RN_CHOICES_TASK "classification|regression"
#define RN_CHOICES_OPTIMIZER "adamw|sgd"
#define RN_CHOICES_INIT "kaiming|orthonormal"
#define RN_CHOICES_LOG_FORMAT "text|json"

#endif

# SPDX-License-Identifier: Apache-2.0
#
# The faults of faults.sh. One a paragraph: name, file, what stands there, what to make of it, the
# test that finds it.

# ---- Which plan may follow which

fault same-seed-is-allowed policy/jobledger.c \
  'RN_ENSURE(entry->seed != plan->seed, err' 'RN_ENSURE(true, err' test_jobledger

fault every-base-model-counts policy/jobledger.c \
  'if (memcmp(entry->model_hash, plan->model_hash, 32) != 0) {' 'if (false) {' test_jobledger

fault one-job-too-many policy/jobledger.c \
  'jobs <= jobs_max, err' 'jobs <= jobs_max + 1, err' test_jobledger

fault a-charged-plan-counts-against-itself policy/jobledger.c \
  'if (rn_job_ledger_has(ledger, plan->hash)) {' 'if (false) {' test_jobledger

fault plans-are-known-by-their-first-byte policy/jobledger.c \
  'memcmp(ledger->entries[i].plan_hash, plan_hash, 32) == 0' \
  'memcmp(ledger->entries[i].plan_hash, plan_hash, 1) == 0' test_jobledger

fault a-plan-is-signed-that-the-ledger-has-no-room-for policy/jobledger.c \
  'return room_check(ledger, err);' 'return rn_ok();' test_jobledger

fault plans-beyond-the-limit-are-charged policy/jobledger.c \
  'ledger->count < RN_JOB_LEDGER_MAX' 'ledger->count <= RN_JOB_LEDGER_MAX' test_jobledger

fault entries-may-stand-twice policy/jobledger.c \
  '!rn_job_ledger_has(out, out->entries[out->count].plan_hash)' 'true' test_jobledger

fault another-identitys-ledger-is-read policy/jobledger.c \
  'rn_identity_public_equal(&owner, identity)' 'true' test_jobledger

fault upper-case-is-read-too policy/jobledger.c \
  'return memcmp(text, view.data, 64) == 0;' 'return true;' test_jobledger

fault a-cut-ledger-is-a-shorter-one policy/jobledger.c \
  'out->count < RN_JOB_LEDGER_MAX && take_entry(&reader, &out->entries[out->count])' \
  '(out->count < RN_JOB_LEDGER_MAX && take_entry(&reader, &out->entries[out->count])) || (reader = (struct rn_reader){0}, out->count--, true)' \
  test_jobledger

fault the-last-job-of-a-copy-is-left-out policy/jobledger.c \
  'i < copy->count' 'i + 1 < copy->count' test_siteledger

fault jobs-are-counted-once-a-model policy/jobledger.c \
  'out->jobs = jobs_over(ledger, *at, ledger->count, model);' 'out->jobs = 1;' test_jobledger

fault a-model-is-shown-at-each-job policy/jobledger.c \
  'if (jobs_over(ledger, 0, *at, model) == 0) {' 'if (true) {' test_jobledger

# ---- The two copies, and the state beside them

fault the-copy-in-the-state-is-not-written services/host/siteledger.c \
  'RN_TRY(rn_file_write(ledger->paths[IN_STATE], rn_buffer_view(&text), 0644, err));' '' \
  test_ledgercrash

fault the-copy-beside-the-identity-is-not-written services/host/siteledger.c \
  '? rn_file_write(ledger->paths[BESIDE], rn_buffer_view(&text), 0644, err)' '? rn_ok()' \
  test_ledgercrash

fault a-failed-write-is-a-charge services/host/siteledger.c \
  '    RN_TRY(copies_write(ledger, err));
    ledger->charged = true;' '    ledger->charged = rn_is_ok(copies_write(ledger, err)) || true;' test_ledgercrash

fault charged-before-it-is-written services/host/siteledger.c \
  '    RN_TRY(rn_job_ledger_charge(&ledger->jobs, ledger->plan, err));
' '    RN_TRY(rn_job_ledger_charge(&ledger->jobs, ledger->plan, err));
    ledger->charged = true;
' test_ledgercrash

fault a-charge-that-was-read-counts-as-durable services/host/siteledger.c \
  'ledger->charged = false;' '' test_ledgercrash

fault a-copy-that-lacks-the-plan-stays-so services/host/siteledger.c \
  'return whole ? rn_ok()' 'return whole || true ? rn_ok()' test_siteledger

fault the-copy-in-the-state-is-not-read services/host/siteledger.c \
  'return copy_take(place->state, place->identity, out, &out_counts[IN_STATE], err);' \
  'return rn_ok();' test_ledgercrash

fault the-copy-beside-the-identity-is-not-read services/host/siteledger.c \
  'RN_TRY(copy_take(place->directory, place->identity, out, &out_counts[BESIDE], err));' '' \
  test_ledgercrash

fault two-services-with-one-identity services/host/siteledger.c \
  'RN_TRY(lock_take(place, ledger, err));' '(void)lock_take; ledger->writable = true;' \
  test_siteledger

fault a-lost-ledger-is-an-empty-one services/host/siteledger.c \
  'ledger->charged || !state.spent, err' 'true, err' test_siteledger

fault a-lost-state-is-a-new-one services/host/siteledger.c \
  '!ledger->charged || state.bound, err' 'true, err' test_siteledger

fault the-service-does-not-ask-the-ledger services/host/siteledger.c \
  'RN_TRY(rn_job_ledger_check(&ledger->jobs, ledger->plan, jobs_max, err));' '(void)jobs_max;' \
  test_siteledger

fault earlier-jobs-are-not-looked-at services/host/siteledger.c \
  'RN_TRY(rn_sitejobs_check(place->state, &ledger->jobs, err));' '' test_sitejobs

# ---- Jobs that lie in the state

fault the-first-earlier-job-is-the-last services/host/sitejobs.c \
  'RN_TRY(earlier_check(jobs, entry->d_name, ledger, err));' \
  'return earlier_check(jobs, entry->d_name, ledger, err);' test_sitejobs

fault a-lost-journal-is-no-job services/host/sitejobs.c \
  'return rn_is_ok(result) ? result : unknown(directory, err);' 'return result.code == RN_E_DATA ? result : rn_ok();' \
  test_sitejobs

fault a-job-without-a-session-counts services/host/sitejobs.c \
  'if (!found) {' 'if (false) {' test_sitejobs

fault any-charge-is-this-jobs services/host/sitejobs.c \
  'rn_job_ledger_has(ledger, body.data)' 'ledger->count > 0' test_sitejobs

fault the-present-job-is-not-looked-at services/host/sitejobs.c \
  'const rn_result result = journal_check(state, ledger, err);' 'const rn_result result = rn_ok();' \
  test_sitejobs

fault earlier-jobs-are-known-by-their-first-byte services/host/sitejobs.c \
  'memcmp(ledger->entries[i].plan_hash, start, NAME_BYTES) == 0' \
  'memcmp(ledger->entries[i].plan_hash, start, 0) == 0' test_sitejobs

# ---- Files

fault a-file-is-written-in-place base/file.c \
  '"%s.tmp-%ld", path, (long)getpid()' '"%s", path' test_ledgercrash

fault a-file-is-renamed-before-it-is-durable base/file.c \
  'RN_ENSURE(fsync(descriptor) == 0' 'RN_ENSURE(true' test_ledgercrash

fault a-new-name-is-not-durable base/file.c \
  'return rn_directory_sync_of(path, err);' 'return rn_ok();' test_ledgercrash

fault a-short-write-is-a-whole-one base/file.c \
  'done += (size_t)wrote;' 'done = content.length;' test_ledgercrash

# ---- Spent updates

fault sessions-beyond-the-limit crypto/secagg/spentsessions.c \
  'sessions->count < RN_SA_SPENT_MAX' 'sessions->count <= RN_SA_SPENT_MAX' test_spentledger

fault an-update-beyond-the-limit crypto/secagg/spent.c \
  'spent->open.count < RN_SA_SPENT_MAX' 'spent->open.count <= RN_SA_SPENT_MAX' test_spentledger

fault plans-beyond-the-limit crypto/secagg/spent.c \
  'plan != NULL || spent->plan_count < RN_SA_SPENT_PLANS_MAX' 'true' test_spentledger

fault plans-of-a-journal-beyond-the-limit crypto/secagg/spent.c \
  'known != NULL || spent->plan_count < RN_SA_SPENT_PLANS_MAX' 'true' test_spentledger

fault rosters-beyond-the-limit crypto/secagg/spent.c \
  'known != NULL || spent->blamed_count < RN_SA_SPENT_PLANS_MAX' 'true' test_spentledger

fault an-attempt-may-come-again crypto/secagg/spent.c \
  'context->attempt > plan->attempt' 'context->attempt >= plan->attempt' test_spentledger

fault the-base-model-names-no-update crypto/secagg/spentsessions.c \
  'return adapters != 0 ? adapters : memcmp(x->base, y->base, RN_HASH_BYTES);' 'return adapters;' \
  test_spentledger

fault parts-of-the-first-session-alone crypto/secagg/spentsessions.c \
  'while (entry != NULL && (entry->active & active) == 0) {' \
  'if (entry != NULL && (entry->active & active) == 0) {' test_spentledger

fault the-last-session-of-an-update-hides-the-others crypto/secagg/spentsessions.c \
  'added->same = (*update)->same;' '' test_spentledger

fault an-end-takes-the-others-of-the-update crypto/secagg/spentsessions.c \
  '*link = entry->same;' '*link = NULL;' test_spentledger

fault a-session-stays-after-its-end crypto/secagg/spentsessions.c \
  'sessions->count--;' '' test_spentledger

fault an-end-is-not-read-back crypto/secagg/spent.c \
  'rn_sa_spent_sessions_remove(&spent->open, record.session);' '' test_spentledger

fault a-record-twice-is-two crypto/secagg/spentsessions.c \
  'if (rn_sa_spent_sessions_find(sessions, entry->session) != NULL) {' 'if (false) {' \
  test_spentledger

fault cut-records-are-taken crypto/secagg/spent.c \
  'RN_ENSURE(!r->failed, err, RN_E_DATA, "journal: a spent update is cut short");' '' \
  test_spentledger

# ---- The program

fault sessions-are-not-charged services/host/jobhostmachine.c \
  '.before = charge,' '.before = NULL, .peers = charge == NULL,' test_siteledger

fault the-first-record-alone-is-looked-at services/host/jobhostmachine.c \
  'i < batch->write_count' 'i < 1' test_siteledger

fault a-charge-that-fails-is-left-out services/host/jobhostmachine.c \
  'return rn_siteledger_charge(host->ledger, err);' \
  'return rn_is_ok(rn_siteledger_charge(host->ledger, err)) ? rn_ok() : rn_ok();' test_siteledger

# ---- Products in bfloat16: strips, packing, tails, tiles, and the choice between them

cpu=trainer/kernels/cpu

fault every-strip-goes-to-the-first $cpu/cpu_fused.body.h \
  'fused_finish(epilogue, t, rows, &sums, y);' 'fused_finish(epilogue, 0, rows, &sums, y);' \
  test_strips $cpu/cpu_avx512bf16.c

fault padded-depth-keeps-what-was-there $cpu/cpu_fused.body.h \
  'memset(row + x.cols, 0, (depth - x.cols) * sizeof(*row));' '' test_strips $cpu/cpu_avx512bf16.c

fault a-strip-takes-a-row-too-few $cpu/cpu_fused.body.h \
  'for (size_t i = 0; i < rows; i++) {
        uint16_t *row' 'for (size_t i = 0; i + 1 < rows; i++) {
        uint16_t *row' test_strips $cpu/cpu_avx512bf16.c

fault the-place-in-a-strip-is-not-tried $cpu/cpu_onednncheck.c \
  'keeps_turned(&t, 1) && keeps_turned(&t, strip / 2 + 3) &&' '' test_onednn_refuse

fault company-is-not-tried $cpu/cpu_onednncheck.c \
  'keeps = keeps && row_keeps(&found, i, t->sums + i * found.count);' '' test_onednn_refuse

fault a-first-column-stands-for-a-row $cpu/cpu_onednncheck.c \
  'sums, found->count * sizeof(float)) == 0' 'sums, sizeof(float)) == 0' test_onednn_refuse

fault a-shape-that-changes-rows-is-used $cpu/cpu_onednn.c \
  'shape->exact = rn_onednn_rows_keep(lane, matrix, i);' 'shape->exact = true;' test_onednn_refuse

fault pairs-are-packed-the-other-way $cpu/cpu_tiles.c \
  'panel[row + column + i % 2]' 'panel[row + column + 1 - i % 2]' test_tiles

fault the-second-tile-lies-over-the-first $cpu/cpu_tiles.c \
  'c % RN_TILE_BLOCK / 16 * 512' 'c % RN_TILE_BLOCK / 16 * 256' test_tiles

fault a-strip-leaves-no-room-for-a-panel $cpu/cpu_tiles.c \
  '(room - panel) / row' 'room / row' test_tiles

fault a-deep-strip-is-larger-than-its-memory $cpu/cpu_tiles.c \
  'return held > least ? held : least;' 'return held;' test_tiles

fault sums-begin-anew-at-each-cut $cpu/cpu_tileproduct.body.h \
  'steps, i == 0, sums}' 'steps, true, sums}' test_tiles $cpu/cpu_scalar.c

fault every-group-goes-to-the-first $cpu/cpu_tileproduct.body.h \
  'tile_finish(e, strip->t + r, rows' 'tile_finish(e, strip->t, rows' test_tiles $cpu/cpu_avx2.c

fault a-ragged-row-runs-into-the-next $cpu/cpu_tileproduct.body.h \
  'if (x.type == RN_BF16 && c + RN_TILE_DEPTH <= x.cols) {' 'if (x.type == RN_BF16) {' \
  test_strips $cpu/cpu_avx512bf16.c

fault rows-beyond-the-last-are-finished $cpu/cpu_tileproduct.body.h \
  'strip->rows - r < RN_TILE_BLOCK ? strip->rows - r : RN_TILE_BLOCK;' 'RN_TILE_BLOCK;' \
  test_strips $cpu/cpu_avx512bf16.c

fault subnormal-sums-are-kept $cpu/cpu_tileops.h \
  'sums[odd] = tile_flush(v_fma(left, v_load(right[odd][k]), sums[odd]));' \
  'sums[odd] = v_fma(left, v_load(right[odd][k]), sums[odd]);' test_tiles $cpu/cpu_scalar.c

fault subnormal-factors-count $cpu/cpu_tileops.h \
  '(half & 0x7f800000u) == 0 ? half & 0x80000000u : half' 'half' test_tiles $cpu/cpu_scalar.c

fault even-and-odd-products-are-one-chain $cpu/cpu_tileops.h \
  'sums[odd] = tile_flush(v_fma(left, v_load(right[odd][k]), sums[odd]));' \
  'sums[0] = tile_flush(v_fma(left, v_load(right[odd][k]), sums[0]));' test_tiles $cpu/cpu_avx512.c

fault the-factors-of-a-tile-are-swapped $cpu/cpu_tileblock.body.h \
  'tile_dot(&file, 1, 4, 7);' 'tile_dot(&file, 1, 7, 4);' test_tiles $cpu/cpu_amx.c

fault rows-of-a-tile-lie-too-close $cpu/cpu_tileblock.body.h \
  '#define TILE_STRIDE 64 ' '#define TILE_STRIDE 32 ' test_tiles $cpu/cpu_amx.c

fault tiles-have-fifteen-rows $cpu/cpu_amx.c \
  '.rows = {16, 16, 16, 16, 16, 16, 16, 16}' '.rows = {16, 16, 16, 16, 15, 16, 16, 16}' test_tiles

fault tiles-are-not-released $cpu/cpu_amx.c \
  '    _tile_release();' '' test_tiles

fault slower-than-float32-is-taken $cpu/cpu_choice.c \
  'rate > 0.0 && rate >= RN_CPU_CHOICE_GAIN * rates->rate[RN_CPU_BY_FLOAT32]' 'rate > 0.0' \
  test_cpu_choice

fault a-hair-decides-the-choice $cpu/cpu_choice.c \
  'rate >= RN_CPU_CHOICE_GAIN * rates->rate[best]' 'rate > rates->rate[best]' test_cpu_choice

fault the-first-pass-counts-alone $cpu/cpu_choice.c \
  'pass > 0 && rate > out->rate[i]' 'pass > TRIAL_PASSES' test_cpu_choice

fault names-of-candidates-are-swapped $cpu/cpu_choicetext.c \
  '{"amx", "onednn", "float32"}' '{"onednn", "amx", "float32"}' test_cpu_choice

fault a-named-choice-forgets-the-stream $cpu/cpu_choicetext.c \
  'rn_kernels_cpu_bf16_by(candidate, residual_f32)' 'rn_kernels_cpu_bf16_by(candidate, false)' \
  test_cpu_choice

fault what-was-measured-stays-unsaid $cpu/cpu_choicetext.c \
  'rates.rate[i] > 0.0' 'rates.rate[i] < 0.0' test_cpu_choice

# ---- Products in float32

fault sums-of-panels-lie-over-each-other $cpu/cpu_product.body.h \
  'part == depth ? 0 : j' '0' test_cpu_product $cpu/cpu_avx512.c

fault the-ragged-end-is-packed-from-the-start $cpu/cpu_packrows.body.h \
  'row + r, first + done, depth - done' 'row + r, first, depth - done' test_cpu_product \
  $cpu/cpu_avx512.c

fault halves-of-a-transpose-are-swapped $cpu/cpu_packrows.body.h \
  'b[c + 8] = _mm512_shuffle_f32x4(low, high, 0xdd);' \
  'b[c + 8] = _mm512_shuffle_f32x4(high, low, 0xdd);' test_cpu_product $cpu/cpu_avx512.c

fault blocks-outgrow-the-cache $cpu/cpu_common.c \
  'l2 / 8 * 7 / (sizeof(float)' 'l2 * 2 / (sizeof(float)' test_cpu_product

# ---- What a trainer refuses, and the one loop over blocks

fault token-types-are-not-looked-at trainer/learn/datafit.c \
  '!rn_modelconfig_reads_types(model) || range.types <= model->types, err' 'true, err' test_data_fits

fault one-token-type-too-many trainer/learn/datafit.c \
  'range.types <= model->types' 'range.types <= model->types + 1' test_data_fits

fault numbers-pass-for-classes trainer/learn/datafit.c \
  'regression == (lanes->task == RN_TASK_REGRESSION), err' 'true, err' test_data_fits

fault one-class-too-many trainer/learn/datafit.c \
  '(uint32_t)range.label_most < labels' '(uint32_t)range.label_most <= labels' test_data_fits

fault prediction-takes-any-data trainer/learn/inference.c \
  'RN_TRY(rn_learn_data_fits(lanes, data, false, "prediction", err));' '' test_data_fits

fault a-path-that-json-cannot-hold-opens trainer/settled.c \
  'RN_TRY(check_utf8(spec->model_dir, "the path of the model directory", err));' '' test_data_fits

fault a-label-that-json-cannot-hold-opens trainer/settled.c \
  'RN_TRY(check_utf8(spec->labels[i], "a label", err));' '' test_data_fits

fault a-target-that-json-cannot-hold-opens trainer/settled.c \
  'RN_TRY(check_utf8(spec->lora.targets[i], "a target module", err));' '' test_data_fits

fault a-random-pooler-is-not-told trainer/trainer.c \
  'trainer->adapter.pooler_from_seed && !trainer->adapter.pooler_loaded' 'false' test_data_fits

fault the-last-update-is-not-looked-at trainer/learn/trainloop.c \
  'return rn_loop_values_finite(loop, err);' 'return rn_ok();' test_data_fits

fault clients-get-what-is-not-finite trainer/learn/trainclients.c \
  'RN_TRY(rn_loop_values_finite(&crowd->loops[i], err));' '' test_data_fits

fault clients-share-a-state trainer/learn/trainclients.c \
  '.values = memory[0] + client * adapter->count' '.values = memory[0]' test_clients

fault clients-get-values-one-by-one trainer/learn/trainclients.c \
  'RN_TRY(rn_loop_values_finite(&crowd->loops[i], err));' \
  'RN_TRY(rn_loop_values_finite(&crowd->loops[i], err));
        RN_TRY(rn_adapter_get(adapter, &crowd->states[i], crowd->lanes->lane, RN_MATRIX_AB, true,
                              crowd->clients[i].values, err));' test_clients

fault the-clients-passes-stay trainer/trainerjobs.c \
  'rn_lanes_release(&trainer->lanes); /*' '/*' test_clients

fault kept-rows-of-other-heads trainer/trainer.c \
  '.heads = encoder->config.heads,' '' test_prefix_cache

fault kept-rows-of-another-epsilon trainer/trainer.c \
  '.layer_norm_epsilon = encoder->config.layer_norm_epsilon,' '' test_prefix_cache

fault kept-rows-of-another-padding trainer/trainer.c \
  '.pad_id = encoder->config.pad_id,' '' test_prefix_cache

# ---- Gradients of examples that are products of two rows

fault the-norm-of-products-is-left-out $cpu/cpu_dp.body.h \
  'sum += square_sum(row + part->u, part->rows) * square_sum(row + part->v, part->cols);' '(void)part;' \
  test_clip_add $cpu/cpu_scalar.c

fault one-factor-for-all-rows-of-a-product $cpu/cpu_dp.body.h \
  'const size_t u = part->u + p;' 'const size_t u = part->u;' test_clip_add $cpu/cpu_scalar.c

fault products-lie-over-what-is-stored $cpu/cpu_dp.body.h \
  'add_columns(group, 0, rows->stored, NULL, sum);
    sum += rows->stored;' 'add_columns(group, 0, rows->stored, NULL, sum);' test_clip_add $cpu/cpu_scalar.c

fault a-product-is-rounded-before-it-is-clipped $cpu/cpu_dp.body.h \
  'group->scale[i] * (u == NULL ? 1.0 : (double)row[*u])' \
  'group->scale[i] * (u == NULL ? 1.0 : (double)(float)(row[*u] * 1.00001f))' test_clip_add $cpu/cpu_scalar.c

fault the-reference-forgets-columns trainer/kernels/ref/ref_dp.c \
  'walk->row[part->v + c]' 'walk->row[part->v]' test_clip_add

fault factors-are-not-kept trainer/pass/passexamples.c \
  'pass->kernels->rows_store(pass->lane, x, pass->each.stride, factor);' '(void)x;' test_dp_gradients

fault the-classifiers-factor-is-the-dense-layers trainer/pass/passexamples.c \
  'add_part(out, head->classifier_w, first + dense, d);' 'add_part(out, head->classifier_w, first, d);' \
  test_dp_gradients

fault rows-of-examples-lie-too-close trainer/privacy/dpstep.c \
  '.stride = plan->stride,' '.stride = plan->stored,' test_dp_gradients

fault every-element-is-stored trainer/privacy/dpstep.c \
  'adapter->encoder->kernels->clip_add_outer != NULL && !whole' 'adapter == NULL && !whole' test_dp_gradients

fault the-wish-to-store-is-not-heard trainer/privacy/dpstep.c \
  'clip_add_outer != NULL && !whole' 'clip_add_outer != NULL && (!whole || whole)' test_dp_gradients

# ---- Memory: which matrices go both ways, and what is counted

fault every-matrix-goes-both-ways trainer/settled.c \
  'rn_adapter_below(&adapter, full, layer, (enum rn_module)module);' 'true;' test_memory_plan

fault key-and-value-of-the-lowest-go-back trainer/adapter/adapter.c \
  'module <= RN_MODULE_VALUE ? RN_MODULE_QUERY : (int)module' '(int)module' test_memory_plan

fault the-pooler-always-goes-back trainer/settled.c \
  'settled->for_training && rn_adapter_below_head(&adapter, full)' 'rn_adapter_below_head(&adapter, full)' \
  test_memory_plan

fault what-evaluates-may-train trainer/trainer.c \
  '!training || trainer->settled.for_training, err' '!training || true, err' test_memory_plan

fault clients-share-a-line trainer/memoryplan.c \
  'clients * adapter_bytes(adapter, true)' 'adapter_bytes(adapter, true)' test_memory_plan

fault pieces-have-no-gradients trainer/memoryplan.c \
  'training && request->clients > 0 ? RN_CLIENT_PIECES : 0' '0' test_memory_plan

fault opening-forgets-privacy trainer/trainer.c \
  '.dp = spec->for_dp' '.dp = false' test_memory_plan

fault opening-forgets-clients trainer/trainer.c \
  '.clients = spec->for_clients' '.clients = 0' test_memory_plan

fault the-accelerator-has-no-end trainer/memoryplan.c \
  'plan->accelerator <= plan->accelerator_available' 'true' test_memory_plan

# ---- A vector range by range

fault a-range-forgets-its-place services/round/roundvector.c \
  'layout->delta_offset + from, to - from' 'layout->delta_offset, to - from' test_round_vector

fault a-range-starts-where-its-segment-does services/round/roundvector.c \
  'segment->offset > first ? segment->offset : first' 'segment->offset' test_round_vector

fault weights-multiply-heads-too services/round/roundvector.c \
  'memcpy(out, encoder->head + first, heads * sizeof(*out));' \
  'for (uint64_t i = 0; i < heads; i++) { out[i] = encoder->head[first + i] * encoder->weight; }' \
  test_round_vector

fault what-is-beyond-the-end-is-read services/round/roundvector.c \
  'count <= layout->elements - first, err, RN_E_INTERNAL' \
  'count <= layout->elements - first + 1, err, RN_E_INTERNAL' test_round_vector

fault what-is-clipped-is-not-counted crypto/quantise.c \
  'clipped += fabs((double)values[k]) > scale;' 'clipped += 0 * (fabs((double)values[k]) > scale);' \
  test_quantise

# ---- The sparse graph

fault a-tail-begins-one-lower crypto/secagg/graphtail.c \
  'uint32_t i = marked < drawn ? marked : drawn;' \
  'uint32_t i = (marked < drawn ? marked : drawn) - (marked > 1 && drawn > 1);' test_graphtail

fault as-rare-as-asked-is-not-rare crypto/secagg/graphtail.c \
  '    return false;
}

/* a * C(n, k) */' '    return true;
}

/* a * C(n, k) */' test_graphtail

fault carries-are-lost crypto/secagg/graphtail.c \
  'carry = (uint64_t)(sum >> 64);' 'carry = 0;' test_graphtail

fault times-is-left-out crypto/secagg/graphtail.c \
  'multiply(a, rarity.times);' 'multiply(a, 1);' test_graphtail

fault an-odd-bit-is-left-out crypto/secagg/graphtail.c \
  'rarity.bits - rarity.bits / 2' 'rarity.bits / 2' test_graphtail

fault one-seed-instead-of-16 crypto/secagg/graph.c \
  'RN_SA_GRAPH_SECURITY_BITS + 4' 'RN_SA_GRAPH_SECURITY_BITS' test_graph

fault one-arc-instead-of-all crypto/secagg/graph.c \
  'RN_SA_GRAPH_SECURITY_BITS + 4, members}' 'RN_SA_GRAPH_SECURITY_BITS + 4, 1}' test_graph

fault a-threshold-one-lower crypto/secagg/graph.c \
  'degree / 2 + 2 + corrupt;' 'degree / 2 + 1 + corrupt;' test_graph

fault arcs-of-the-whole-degree crypto/secagg/graph.c \
  'rn_sa_tail_quantile(members, colluding, degree / 2, rarity)' \
  'rn_sa_tail_quantile(members, colluding, degree, rarity)' test_graph

fault the-own-share-of-a-lost-member-counts crypto/secagg/graph.c \
  '<= degree - threshold;' '<= degree + 1 - threshold;' test_graph

fault the-member-itself-may-be-among-its-neighbours crypto/secagg/graph.c \
  'rn_sa_tail_quantile(members - 1, losses' 'rn_sa_tail_quantile(members, losses' test_graph

fault a-threshold-above-the-degree crypto/secagg/graph.c \
  'return threshold <= degree &&' 'return' test_graph

fault a-degree-of-more-than-half crypto/secagg/graph.c \
  'degree <= members / 2; degree += 2' 'degree < members; degree += 2' test_graph

fault odd-degrees crypto/secagg/graph.c \
  'degree = 2; degree <= members / 2; degree += 2' 'degree = 2; degree <= members / 2; degree++' \
  test_graph

fault a-sparse-graph-of-128 crypto/secagg/graph.c \
  'members > RN_SA_GRAPH_COMPLETE_MAX' 'members >= RN_SA_GRAPH_COMPLETE_MAX' test_graph

fault the-ring-is-cut crypto/secagg/graph.c \
  '(apart < other_way ? apart : other_way)' 'apart' test_graph

fault one-neighbour-more-on-either-side crypto/secagg/graph.c \
  '<= graph->sizes.degree / 2;' '<= graph->sizes.degree / 2 + 1;' test_graph_opens

fault neighbours-by-place crypto/secagg/graph.c \
  'graph->position[permutation[p]] = p;' 'graph->position[p] = p;' test_graph

fault a-position-twice crypto/secagg/graph.c \
  'permutation[p] >= members || seated[permutation[p]]' 'permutation[p] >= members' test_graph

# ---- The epoch

fault a-seventeenth-attempt crypto/secagg/epoch.c \
  'attempt <= RN_SA_EPOCH_ATTEMPTS_MAX, err' 'attempt <= RN_SA_EPOCH_ATTEMPTS_MAX + 1, err' \
  test_epoch

fault attempts-from-zero crypto/secagg/epoch.c \
  'attempt >= 1 && attempt' 'attempt' test_epoch

fault one-contribution-for-all-attempts crypto/secagg/epoch.c \
  '    rn_identity_sign(identity, TAG_SECRET,' \
  '    memset(message + 64, 0, 4); rn_identity_sign(identity, TAG_SECRET,' test_epoch

fault a-commitment-that-another-can-open crypto/secagg/epoch.c \
  '    rn_write_u32(&w, place);' '    rn_write_u32(&w, 0 * place);' test_epoch_faces

fault commitments-are-not-verified crypto/secagg/epoch.c \
  'return rn_identity_verify(&context->keys[out->place], TAG_COMMIT,' \
  'return rn_ok(); return rn_identity_verify(&context->keys[out->place], TAG_COMMIT,' test_epoch

fault a-second-set-of-one-attempt crypto/secagg/epoch.c \
  'memcmp(set->hash, revealed->set_hash, RN_HASH_BYTES) == 0);' 'true);' test_epoch_faces

fault earlier-attempts-are-revealed-again crypto/secagg/epoch.c \
  'set->attempt > revealed->attempt' 'set->attempt != revealed->attempt' test_epoch_faces

fault the-attempt-is-not-remembered crypto/secagg/epoch.c \
  'revealed->attempt = set->attempt;' '' test_epoch_faces

fault a-reveal-counts-under-every-set crypto/secagg/epoch.c \
  'rn_write_bytes(&w, set->hash, RN_HASH_BYTES);' \
  'rn_write_bytes(&w, set->commitments[0], RN_HASH_BYTES);' test_epoch_faces

fault reveals-are-not-held-against-commitments crypto/secagg/epoch.c \
  'RN_ENSURE(is_committed(context, set, out->place, out->value), err' 'RN_ENSURE(true, err' \
  test_epoch_faces

fault another-commitment-under-the-own-name crypto/secagg/epoch.c \
  'RN_ENSURE(is_committed(context, set, place, contribution.bytes), err' 'RN_ENSURE(true, err' \
  test_epoch_faces

fault the-last-position-never-moves crypto/secagg/epoch.c \
  '(uint64_t)p + 1)' '(uint64_t)p)' test_epoch

fault a-set-below-the-floor crypto/secagg/epochset.c \
  'RN_ENSURE(out->count >= context->least && out' 'RN_ENSURE(out' test_epoch

fault a-member-twice-in-a-set crypto/secagg/epochset.c \
  'RN_ENSURE(entry.place >= least, err' 'RN_ENSURE(entry.place + 1 >= least, err' test_epoch

fault bytes-after-a-set crypto/secagg/epochset.c \
  'rn_reader_left(r) == (size_t)out->count' 'rn_reader_left(r) >= (size_t)out->count' test_epoch

fault a-set-of-another-plan crypto/secagg/epochset.c \
  'memcmp(plan, context->plan_hash, sizeof plan) == 0' 'true' test_epoch

fault a-missing-reveal-is-passed-over crypto/secagg/epochset.c \
  'RN_ENSURE(entries[place].length > 0, err' 'RN_ENSURE(true, err' test_epoch_faces

fault reveals-in-any-order crypto/secagg/epochset.c \
  'RN_ENSURE(entry.place == set->places[k], err' 'RN_ENSURE(true, err' test_epoch

fault a-contribution-is-left-out-of-the-seed crypto/secagg/epochset.c \
  'rn_sha256_update(&hash, entry.value, sizeof entry.value);' \
  'if (k > 0) { rn_sha256_update(&hash, entry.value, sizeof entry.value); }' test_epoch

# ---- Blind plans

fault group-keys-are-not-signed policy/signature.c \
  'out.length = sizeof out.bytes;' 'out.length = 32;' test_groupsign

fault blind-signatures-without-keys policy/signature.c \
  'RN_ENSURE(has_group(entry) == wanted, err, RN_E_PEER_AUTH,' \
  'RN_ENSURE(has_group(entry) || wanted || true, err, RN_E_PEER_AUTH,' test_groupsign

fault the-second-document-replaces-the-first policy/signature.c \
  'RN_ENSURE(into->document_bytes == 0 ||' 'RN_ENSURE(true || into->document_bytes == 0 ||' \
  test_groupsign

fault documents-without-all-keys policy/groupsign.c \
  'return signatures->blind && found == roster->count;' \
  'return signatures->blind && found + 1 >= roster->count;' test_groupsign

fault the-commitment-is-not-checked crypto/groupkey.c \
  'if (memcmp(commitment, head.commitment, RN_HASH_BYTES) != 0) {' 'if (false) {' test_groupkey

fault the-makers-signature-is-not-checked crypto/groupkey.c \
  'RN_ENSURE(rn_is_ok(rn_identity_verify(&roster->members[RN_GROUP_MAKER].key, SIGN_TAG,
                                          rn_view_of(document.data, signed_bytes),
                                          document.data + signed_bytes, NULL)),' \
  'RN_ENSURE(signed_bytes > 0,' test_groupkey

fault group-keys-do-not-follow-the-plan crypto/groupkey.c \
  'rn_identity_derive(identity, rn_view_of(plan_hash, RN_HASH_BYTES), "group member", out_secret);' \
  'rn_identity_derive(identity, rn_view_of("", 0), "group member", out_secret);' test_groupkey

fault all-members-have-one-stream crypto/maskkey.c \
  '"blind", &index, 1, out_key);' '"blind", &index, 0, out_key);' test_groupkey

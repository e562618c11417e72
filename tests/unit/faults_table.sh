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
  'fused_finish(epilogue, t, rows, &sums, false, y);' 'fused_finish(epilogue, 0, rows, &sums, false, y);' \
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

fault sums-begin-anew-at-each-part $cpu/cpu_tileproduct.body.h \
  '.fresh = w->first == 0,' '.fresh = true,' test_tiles $cpu/cpu_scalar.c

fault every-part-begins-at-the-first-column $cpu/cpu_tileproduct.body.h \
  'w->first * RN_TILE_DEPTH, w->part' '0, w->part' test_tiles $cpu/cpu_scalar.c

fault sums-of-all-panels-rest-in-one-place $cpu/cpu_tileproduct.body.h \
  '(column - w->column) / RN_TILE_BLOCK * groups + g : 0' 'g : 0' test_tiles $cpu/cpu_scalar.c

fault the-last-block-is-not-finished $cpu/cpu_tileproduct.body.h \
  'tile_beside(w, 0, 1);' '' test_tiles $cpu/cpu_scalar.c

fault the-last-row-of-a-block-waits-for-ever $cpu/cpu_tileproduct.body.h \
  'const size_t pairs = (w->sum_rows + 1) / 2;' 'const size_t pairs = w->sum_rows / 2;' \
  test_tiles $cpu/cpu_scalar.c

fault sums-that-rest-have-no-room $cpu/cpu_tiles.c \
  'lesser(whole(rows), cuts->deep_rows) *' 'lesser(rows, cuts->deep_rows) *' test_tiles

fault every-group-goes-to-the-first $cpu/cpu_tileproduct.body.h \
  'w->sum_t = w->t + g * RN_TILE_BLOCK;' 'w->sum_t = w->t;' test_tiles $cpu/cpu_avx2.c

fault pairs-of-the-lower-half-are-the-upper-s $cpu/cpu_tileblock.body.h \
  'tile_load(&file, 5, left + 16 * job->left_row, left_row);' \
  'tile_load(&file, 5, left, left_row);' test_tiles $cpu/cpu_scalar.c

fault halves-of-a-line-are-swapped $cpu/cpu_fused.body.h \
  '_mm512_cvtne2ps_pbh(high, low)' '_mm512_cvtne2ps_pbh(low, high)' test_cpu_bf16 \
  $cpu/cpu_avx512bf16.c

fault the-second-row-takes-the-first-one-s-rank $cpu/cpu_fused.body.h \
  'rn_row_f32(e->rank_h, p->t + p->rows - 1)' 'rn_row_f32(e->rank_h, p->t)' test_cpu_bf16 \
  $cpu/cpu_avx512bf16.c

fault a-line-past-the-caches-goes-to-the-row-above $cpu/cpu_fused.body.h \
  '        _mm512_stream_si512((void *)to, line);' \
  '        _mm512_stream_si512((void *)(to - (t > 0 ? m.ld : 0)), line);' test_tiles \
  $cpu/cpu_avx512bf16.c

fault keys-beyond-the-sequence-have-a-share $cpu/cpu_attention_dot.body.h \
  'return j < h->keys ? (' 'return true ? (' test_cpu_bf16 $cpu/cpu_avx512bf16.c

fault a-ragged-row-runs-into-the-next $cpu/cpu_tileproduct.body.h \
  'if (x.type == RN_BF16 && c + RN_TILE_DEPTH <= x.cols) {' 'if (x.type == RN_BF16) {' \
  test_strips $cpu/cpu_avx512bf16.c

fault rows-beyond-the-last-are-finished $cpu/cpu_tileproduct.body.h \
  'tile_least(w->rows - g * RN_TILE_BLOCK, RN_TILE_BLOCK);' 'RN_TILE_BLOCK;' test_strips \
  $cpu/cpu_avx512bf16.c

fault subnormal-sums-are-kept $cpu/cpu_tileops.h \
  'sums[odd] = tile_flush(v_fma(left, v_load(right[odd][k]), sums[odd]));' \
  'sums[odd] = v_fma(left, v_load(right[odd][k]), sums[odd]);' test_tiles $cpu/cpu_scalar.c

fault subnormal-factors-count $cpu/cpu_tileops.h \
  '(half & 0x7f800000u) == 0 ? half & 0x80000000u : half' 'half' test_tiles $cpu/cpu_scalar.c

fault even-and-odd-products-are-one-chain $cpu/cpu_tileops.h \
  'sums[odd] = tile_flush(v_fma(left, v_load(right[odd][k]), sums[odd]));' \
  'sums[0] = tile_flush(v_fma(left, v_load(right[odd][k]), sums[0]));' test_tiles $cpu/cpu_avx512.c

fault a-tile-is-multiplied-by-itself $cpu/cpu_tileblock.body.h \
  'tile_load(&file, 6, right, TILE_STRIDE);' 'tile_load(&file, 6, left, TILE_STRIDE);' test_tiles \
  $cpu/cpu_amx.c

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
  '!model->family->reads_types || range.types <= model->types, err' 'true, err' test_data_fits

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
  'pass->kernels->rows_store(pass->lane, x, each->stride, each->gradients + part->v);' '(void)x;' test_dp_gradients

fault the-classifiers-factor-is-the-dense-layers trainer/pass/passexamples.c \
  'add_part(out, head->classifier_w, first + dense, d);' 'add_part(out, head->classifier_w, first, d);' \
  test_dp_gradients

fault rows-of-examples-lie-too-close trainer/privacy/dpstep.c \
  '.stride = plan->stride,' '.stride = plan->stored,' test_dp_gradients

fault every-element-is-stored trainer/privacy/dpstep.c \
  'adapter->encoder->kernels->clip_add_outer != NULL && !whole' 'adapter == NULL && !whole' test_dp_gradients

fault the-wish-to-store-is-not-heard trainer/privacy/dpstep.c \
  'clip_add_outer != NULL && !whole' 'clip_add_outer != NULL && (!whole || whole)' test_dp_gradients

# ---- DP-SGD: clipping, sampling, noise

fault automatic-clipping-divides-by-the-norm-alone $cpu/cpu_dp.body.h \
  'clip->norm / (norm + clip->gamma)' 'clip->norm / (norm + 0.5 * clip->gamma)' test_clip_add $cpu/cpu_scalar.c

fault the-reference-clips-automatically-by-the-norm-alone trainer/kernels/ref/ref_dp.c \
  'clip->norm / (norm + clip->gamma)' 'clip->norm / (norm + 0.5 * clip->gamma)' test_clip_add

fault the-device-clips-flat-alone trainer/kernels/cuda/cuda_dp.cu \
  'if (gamma > 0.0) {' 'if (gamma < 0.0) {' test_cuda_dp

fault the-wish-for-automatic-clipping-is-not-heard trainer/privacy/dpstep.c \
  '== RN_DP_CLIP_AUTOMATIC ? RN_DP_GAMMA : 0.0' '== RN_DP_CLIP_AUTOMATIC ? 0.0 : 0.0' test_dp_gradients

fault the-sum-is-divided-by-the-batch trainer/privacy/dpstep.c \
  '(dp->clip.grid * spec->denominator)' '(dp->clip.grid * (count > 0 ? count : 1))' test_dp_twin

fault a-record-is-put-into-a-step-twice trainer/privacy/dpsample.c \
  'taken[drawn] == record + 1 ? newest : drawn' 'drawn' test_dp_draws

fault the-newest-step-is-never-drawn trainer/privacy/dpsample.c \
  'below(spec, (uint64_t)newest + 1)' 'below(spec, newest > 0 ? (uint64_t)newest : 1)' test_dp_draws

fault a-step-of-an-allocation-is-not-cut trainer/privacy/dpsample.c \
  'count * sizeof(*chosen));
    cut_to(spec, count, most, chosen);' 'count * sizeof(*chosen));' test_dp_draws

fault the-cut-keeps-the-first-records trainer/privacy/dpsample.c \
  'i + (size_t)below(spec, count - i)' 'i' test_dp_draws

fault every-step-has-the-records-of-the-first trainer/privacy/dpstep.c \
  'dp->begun - 1, dp->spec->batch' '0, dp->spec->batch' test_dp_train

fault nobody-is-allocated trainer/learn/trainloop.c \
  'RN_TRY(rn_dp_allocate(loop->dp, loop->examples, loop->steps, err));' '' test_dp_train

fault a-zero-of-b-is-looked-for-in-a trainer/trainerflat.c \
  'rn_segment_chosen(segment, RN_MATRIX_B, false) &&' 'rn_segment_chosen(segment, RN_MATRIX_A, false) &&' \
  test_dp_train

fault a-fork-draws-the-noise-again crypto/noise.c \
  'RN_BUG_IF(noise->process != getpid());' '' test_dp_release

fault threads-draw-the-same-noise crypto/noise.c \
  'noise->next + from, end - from' 'noise->next + 0 * from, end - from' test_noise

fault draws-of-several-threads-come-again crypto/noise.c \
  'noise->next += n;' 'noise->next += count == 1 ? n : 0;' test_noise

fault both-parities-of-noise-are-not-alike crypto/noise.c \
  'out[i] = (k ^ negative) - negative;' 'out[i] = ((k & ~1) ^ negative) - negative;' test_dp_release

# ---- Memory: which matrices go both ways, and what is counted

fault every-matrix-goes-both-ways trainer/settled.c \
  'rn_adapter_below(&adapter, full, layer, (*out)[layer]);' \
  'memset((*out)[layer], 1, sizeof((*out)[layer]));' test_memory_plan

fault key-and-value-of-the-lowest-go-back trainer/adapter/adapter.c \
  'out[step->module] = wanted[step->in];' \
  'out[step->module] = wanted[step->in] || (step->module > 0 && step->module < 3);' test_memory_plan

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

# ---- Shamir's weights

fault a-word-is-held-too-long crypto/shamir.c \
  '#define HELD_BITS 43' '#define HELD_BITS 60' test_shamir

fault signs-are-lost crypto/shamir.c \
  'negative ^= below;' 'negative |= below;' test_shamir

fault the-own-place-is-left-out crypto/shamir.c \
  '    multiply(&product, holders[k] + 1);' '' test_shamir

fault the-first-inverse-is-that-of-all crypto/shamir.c \
  '        rn_scalar_mul(&inverse, &below[k], &inverse);' '' test_shamir

fault what-is-held-is-not-taken-in crypto/shamir.c \
  '    take_in(&product);
    *out = product.whole;' '    *out = product.whole;' test_shamir

# ---- Sums over public elements

fault other-encodings-decode crypto/curvesum.c \
  'memcmp(bytes, again, sizeof again) == 0 && ' '' test_curvesum

fault negative-encodings-decode crypto/curvesum.c \
  ' && (bytes[0] & 1) == 0' '' test_curvesum

fault what-has-no-root-decodes crypto/curvesum.c \
  'return square && ' 'return ' test_curvesum

fault negative-products-decode crypto/curvesum.c \
  '!rn_field_is_negative(&out->t) && ' '' test_curvesum

fault minus-one-decodes crypto/curvesum.c \
  ' && !rn_field_is_zero(&out->y)' '' test_curvesum

fault torsion-shows crypto/curvesum.c \
  'if (rn_field_is_negative(&t)) { /* turn by a point of order 4 */' 'if (false) {' test_curvesum

fault a-sum-has-another-constant crypto/curvesum.c \
  'rn_field_mul(&a->t, &twice_d, &t);' 'rn_field_mul(&a->t, &curve_d, &t);' test_curvesum

fault doublings-add-the-wrong-way crypto/curvesum.c \
  'rn_field_sub(&zero, &h, &h);' '' test_curvesum

fault the-highest-bit-twice crypto/curvesum.c \
  'bit = 30 - __builtin_clz' 'bit = 31 - __builtin_clz' test_curvesum

fault the-last-carry-is-cut crypto/curvefield.c \
  'out->v[0] + 19 * (r[4] >> LIMB_BITS);' '(uint64_t)(out->v[0] + 19 * (r[4] >> LIMB_BITS));' test_curvesum

fault p-is-written-as-p crypto/curvefield.c \
  'uint64_t over = (r.v[0] + 19) >> LIMB_BITS;' 'uint64_t over = (r.v[0] + 18) >> LIMB_BITS;' test_curvesum

fault limbs-are-written-as-they-are crypto/curvefield.c \
  '    carry(&r);
    /* Below' '    /* Below' test_curvesum

fault roots-of-minus-one-are-roots crypto/curvefield.c \
  'const bool is_square = flipped || rn_field_equal(&check, &one);' \
  'const bool is_square = !rn_field_is_zero(&check);' test_curvesum

fault roots-are-not-flipped crypto/curvefield.c \
  'if (flipped || rn_field_equal(&check, &minus_root)) {' \
  'if (rn_field_equal(&check, &minus_root)) {' test_curvesum

fault roots-may-be-negative crypto/curvefield.c \
  'rn_field_absolute(out);
    return is_square;' 'return is_square;' test_curvesum

fault the-highest-commitment-is-left-out crypto/feldman.c \
  'struct rn_curve_point value = points[degree];' \
  'struct rn_curve_point value = points[degree > 0 ? degree - 1 : 0];' test_feldman

fault the-constant-is-not-the-published-point crypto/feldman.c \
  'rn_curve_decode(constant->bytes, &points[0]);' '(rn_curve_identity(&points[0]), constant != NULL);' \
  test_feldman

fault the-judge-forgets-the-constant crypto/feldman.c \
  'return rn_point_add(&value, constant, out, err);' '*out = value; (void)constant; return rn_ok();' \
  test_feldman

fault the-first-holder-is-all crypto/feldman.c \
  'rn_curve_times(&value, holders[j] + 1, &value);' 'rn_curve_times(&value, holders[0] + 1, &value);' \
  test_feldman

fault holders-of-any-place crypto/feldman.c \
  'RN_BUG_IF(holders[j] >= RN_SHAMIR_PLACE_MAX);' '' test_feldman

fault commitments-of-any-bytes-are-summed crypto/feldman.c \
  'RN_ENSURE(good, err, RN_E_PEER_FORMAT' 'RN_ENSURE(true, err, RN_E_PEER_FORMAT' test_feldman

# ---- Long vectors, and noise of a sum

fault streams-turn-at-2-31-bytes crypto/maskstream.c \
  '(first + at) * lanes.width, now,' '(first + at) * lanes.width & INT32_MAX, now,' test_large_vector

fault a-counter-of-three-bytes crypto/maskstream.c \
  '(uint8_t)(block >> (8 * k))' '(uint8_t)(k < 3 ? block >> (8 * k) : 0)' test_large_vector

fault the-last-chunk-counts-as-whole crypto/secagg/params.c \
  '(layout->chunks - 1) * (uint64_t)rn_sa_layout_chunk_bytes(layout, 0) + last;' \
  'layout->chunks * (uint64_t)rn_sa_layout_chunk_bytes(layout, 0) + last - last;' test_large_vector

fault canaries-of-far-chunks-overlap crypto/secagg/params.c \
  'return (uint64_t)chunk * (layout->chunk_elements + RN_SA_CANARIES);' \
  'return (uint64_t)chunk * layout->chunk_elements + (chunk & 255) * RN_SA_CANARIES;' \
  test_large_vector

fault one-element-too-many crypto/secagg/params.c \
  'context->elements <= RN_SA_ELEMENTS_MAX' 'context->elements <= RN_SA_ELEMENTS_MAX + 1' \
  test_large_vector

fault one-chunk-too-many crypto/secagg/params.c \
  '(context->elements + full - 1) / full <= RN_SA_CHUNKS_MAX' \
  '(context->elements + full - 1) / full <= RN_SA_CHUNKS_MAX + 8' test_large_vector

fault members-share-half-their-noise crypto/noise.c \
  'derive(&out_noise->high, key, "rondo noise 1 high words");' \
  'derive(&out_noise->high, &(struct rn_secret32){{1}}, "rondo noise 1 high words");' test_noisy_sum

fault a-ring-keeps-a-bit-more crypto/secagg/lanevector.c \
  'const uint64_t keep = UINT64_MAX >> (64 - layout->bits);' \
  'const uint64_t keep = UINT64_MAX >> (63 - layout->bits);' test_noisy_sum

# ---- The sparse graph

fault half-the-losses crypto/secagg/graph.c \
  'rn_sa_tail_quantile(members - 1, losses, degree, rarity)' \
  'rn_sa_tail_quantile(members - 1, losses / 2, degree, rarity)' test_graph

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

# ---- What a plan may ask of a session

fault policies-cannot-ask-for-blindness policy/decide.c \
  '!bound->blind || rn_plan_is_blind(d->plan)' 'bound->blind || !bound->blind' test_rules

fault time-outs-beyond-the-machines services/round/roundsession.c \
  'hard_ms < RN_SA_TIMEOUT_MS_MAX ? hard_ms : RN_SA_TIMEOUT_MS_MAX};' 'hard_ms};' test_round_spec

fault refusals-without-end services/federation/partsession.c \
  'if (rn_budget_take(&p->refusals, &rate, p->now.monotonic_ms)) {' \
  'if (rn_budget_take(&p->refusals, &rate, p->now.monotonic_ms) || true) {' test_participation

# ---- Blind plans

fault group-keys-are-not-signed policy/signature.c \
  'out.length = 32 + sizeof entry->group;' 'out.length = 32;' test_groupsign

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
  '"rondo/v1 secagg blind mask",
           &index, 1' '"rondo/v1 secagg blind mask",
           &index, 0' test_groupkey

fault keys-are-named-without-a-prefix crypto/kdf.c \
  'strncmp(tag, prefix, sizeof(prefix) - 1) != 0 ||' '' test_kdf

fault fields-are-left-out-of-the-info crypto/kdf.c \
  'rn_view_of(info, RN_TAG_BYTES + fields.length)' 'rn_view_of(info, RN_TAG_BYTES)' test_kdf

fault the-first-thread-is-not-waited-for base/parallel.c \
  'for (uint32_t i = 1; i < parts; i++) {
        if (all[i].started' 'for (uint32_t i = 2; i < parts; i++) {
        if (all[i].started' test_parallel

# ---- Hybrid plans

fault the-kem-is-not-in-the-session crypto/secagg/params.c \
  'context->hybrid ? KEM_HYBRID : KEM_NONE' 'KEM_NONE' test_secagg_vectors

fault an-open-plan-may-be-hybrid policy/plan.c \
  'rn_plan_is_hybrid(plan) && !rn_plan_is_blind(plan)' 'false' test_plan

fault a-build-without-x-wing-takes-hybrid-plans policy/plan.c \
  'rn_plan_is_hybrid(plan) && !rn_hybrid_here()' 'false' test_plan

fault hybrid-one-member-more policy/plannumbers.c \
  'members <= RN_GROUP_HYBRID_MEMBERS_MAX' 'members <= RN_GROUP_HYBRID_MEMBERS_MAX + 1' test_plan

fault boxes-of-either-kind crypto/groupkey.c \
  'head.hybrid == keys->hybrid' 'true' test_groupkey

# ---- A thousand members: limits of files, one listing of names, whom to call, how chunks are cut

fault wide-one-pin-fewer policy/rules.c \
  '.most = RN_POLICY_PINS_MAX,' '.most = RN_POLICY_PINS_MAX - 1,' test_rules

fault wide-one-peer-fewer policy/site.c \
  '.most = RN_SITE_PEERS_MAX,' '.most = RN_SITE_PEERS_MAX - 1,' test_site

fault wide-every-file-may-be-as-large-as-any policy/yamlfile.c \
  'text.length <= table->bytes_max' 'text.length <= RN_YAML_BYTES_MAX' test_fields

fault wide-pins-are-found-at-the-first-place policy/pins.c \
  'return rn_roster_find_key(roster, &key);' 'return 0 * rn_roster_find_key(roster, &key);' test_rules

fault wide-a-bundle-is-one-byte-longer policy/bundle.c \
  'text.length <= RN_BUNDLE_BYTES_MAX' 'text.length <= RN_BUNDLE_BYTES_MAX + 1' test_site

fault wide-a-file-in-it-is-one-byte-longer policy/bundle.c \
  'return value <= RN_BUNDLE_FILE_MAX;' 'return value <= RN_BUNDLE_FILE_MAX + 1;' test_site

fault wide-signatures-stand-as-they-came policy/signature.c \
  'by_place[place] = i + 1;' 'by_place[place * 0 + (int)i] = i + 1;' \
  test_signature

fault wide-one-signature-more policy/signature.c \
  'RN_ENSURE(out->count < room_of(out),' 'RN_ENSURE(out->count <= room_of(out),' test_signature

fault wide-who-has-signed-is-missing policy/signature.c \
  'missing[i] = !signers->members[i];' 'missing[i] = signers->members[i];' test_signature

fault wide-room-for-more-after-the-last-name crypto/roster.c \
  '(left > 1 ? more : 1)' 'more' test_roster

fault wide-named-ones-are-counted-as-more crypto/roster.c \
  '        left--;
    }
}' '    }
}' test_roster

fault wide-the-threshold-is-the-degree policy/plannumbers.c \
  '.neighbours = graph.degree,' '.neighbours = graph.threshold,' test_plan

fault wide-all-that-may-collude-may-be-invented services/cli/setup/joincalls.c \
  'return colluding / 2;' 'return colluding;' test_join_calls

fault wide-one-invented-member-fewer-is-found services/cli/setup/joincalls.c \
  'rn_join_calls_spared(colluding) + 1;' 'rn_join_calls_spared(colluding) + 2;' test_join_calls

fault wide-one-call-fewer services/cli/setup/joincalls.c \
  'double miss = 1.0;' 'double miss = 0.9;' test_join_calls

fault wide-a-site-calls-itself services/cli/setup/joincalls.c \
  'if (order[i] != self) {' 'if (true || order[i] != self) {' test_join_calls

fault wide-the-draw-is-the-same-for-every-roster services/cli/setup/joincalls.c \
  'rn_view_of(hash, sizeof hash)' 'rn_view_of(hash, 0)' test_join_calls

fault wide-every-site-draws-the-same services/cli/setup/joincalls.c \
  'rn_sa_epoch_permutation(seed.bytes,' 'rn_sa_epoch_permutation(hash,' test_join_calls

fault wide-small-rosters-draw-too services/cli/setup/joincalls.c \
  'members <= RN_JOIN_CALLS_ALL_MAX' 'members < RN_JOIN_CALLS_ALL_MAX' test_join_calls

fault wide-chunks-shrink-one-member-early crypto/secagg/params.c \
  'members > crowd; crowd *= 2' 'members >= crowd; crowd *= 2' test_round_spec

fault wide-a-session-cuts-as-for-a-few services/round/roundsession.c \
  '.chunk_elements = rn_sa_chunk_elements(members),' '.chunk_elements = RN_SA_CHUNK_ELEMENTS_DEFAULT,' \
  test_round_spec

fault wide-a-plan-counts-as-for-a-few policy/plannumbers.c \
  '.chunk_elements = rn_sa_chunk_elements(numbers->members)}' '.chunk_elements = 0}' test_round_spec

fault wide-every-peer-has-the-whole-inbox services/host/executorinbox.c \
  'RN_EXECUTOR_INBOX_BYTES / executor->bulk_count' 'RN_EXECUTOR_INBOX_BYTES / (executor->bulk_count < 65 ? executor->bulk_count : 64)' \
  test_executor

fault wide-every-stream-has-the-whole-window services/host/peerstreams.c \
  'return part < RN_STREAM_BULK_WINDOW ? part : RN_STREAM_BULK_WINDOW;' 'return part < RN_STREAM_BULK_WINDOW ? RN_STREAM_BULK_WINDOW : RN_STREAM_BULK_WINDOW;' \
  test_peerstreams

fault wide-signatures-leave-to-all-at-once services/federation/coordsigners.c \
  'if (!rn_budget_take(&c->texts, &rate, c->clock_ms)) {' \
  'if (!rn_budget_take(&c->texts, &rate, c->clock_ms) && c == NULL) {' test_wide_job

# ---- Layers as lists of steps, and the walks through them

fault a-layer-without-its-second-residual trainer/model/bert.c \
  '.in = G, .with = X1, .module = OUTPUT' \
  '.in = G, .module = OUTPUT' test_walk

fault keys-and-values-change-places trainer/model/bert.c \
  '.in = Q, .with = K, .also = V' \
  '.in = Q, .with = V, .also = K' test_walk

fault an-inside-without-its-activation trainer/model/bert.c \
  ', .activation = RN_ACTIVATION_GELU' \
  '' test_walk

fault the-norms-change-places trainer/model/bert.c \
  '.out = X1, .in = Y1, .module = ATTENTION_NORM},' \
  '.out = X1, .in = Y1, .module = 1 - ATTENTION_NORM},' test_block

fault positions-of-roberta-count-from-zero trainer/model/roberta.c \
  '.positions_from_pad = true' \
  '.positions_from_pad = false' test_walk

fault the-query-stands-before-the-key trainer/model/bert.c \
  '{RN_OP_LINEAR, .out = V, .in = RN_SLOT_IN, .module = VALUE},
    {RN_OP_LINEAR, .out = K, .in = RN_SLOT_IN, .module = KEY},
    {RN_OP_LINEAR, .out = Q, .in = RN_SLOT_IN, .module = QUERY},' \
  '{RN_OP_LINEAR, .out = Q, .in = RN_SLOT_IN, .module = QUERY},
    {RN_OP_LINEAR, .out = K, .in = RN_SLOT_IN, .module = KEY},
    {RN_OP_LINEAR, .out = V, .in = RN_SLOT_IN, .module = VALUE},' test_block

fault keys-of-asked-rows-alone trainer/model/block.c \
  '(step->op == RN_OP_ATTEND && !query)' \
  '(step->op == RN_OP_ATTEND && read[j] == step->also)' test_block

fault every-query-of-the-last-layer trainer/model/block.c \
  '(step->op == RN_OP_ATTEND && !query)' \
  'step->op == RN_OP_ATTEND' test_block

fault a-residual-reads-every-row trainer/model/block.c \
  'if (step.op != RN_OP_ATTEND && whole[step.with]) {' \
  'if (false) {' test_block

fault a-residual-may-be-read-after trainer/model/blockcheck.c \
  'readers(p, step->with, number + 1, p->step_count) != 0)' \
  'false)' test_block

fault a-slot-may-have-two-producers trainer/model/blockcheck.c \
  'if (producers(p, slot, p->step_count) != 1) {' \
  'if (producers(p, slot, p->step_count) == 0) {' test_block

fault a-gathered-slot-may-be-read-after trainer/model/blockcheck.c \
  'if (step->op == RN_OP_GATHER && readers' \
  'if (false && readers' test_block

fault a-waiting-share-is-overwritten trainer/pass/passgradients.c \
  'spans[waiting[slot]].last = at;' \
  '' test_block

fault gradients-meet-in-one-buffer trainer/pass/passgradients.c \
  'spans[other].first <= spans[slot].last &&' \
  'spans[other].first < spans[slot].last &&' test_block

fault the-inputs-gradient-may-be-overwritten trainer/pass/passgradients.c \
  'spans[RN_SLOT_IN].last = p->step_count;' \
  'spans[RN_SLOT_IN].last = spans[RN_SLOT_IN].first;' test_block

fault a-residuals-gradient-is-lost trainer/pass/passbackward.c \
  'if (step->with != RN_SLOT_NONE) {' \
  'if (false) {' test_walk

fault shares-are-not-added trainer/pass/passbackward.c \
  'struct rn_epilogue epilogue = {.residual = w->sum[step->in]};' \
  'struct rn_epilogue epilogue = {0};' test_walk

fault a-slope-is-left-out trainer/pass/passbackward.c \
  'if (step->out == slot && step->activation != RN_ACTIVATION_NONE) {' \
  'if (false) {' test_walk

fault backward-stops-above-the-lowest-module trainer/adapter/adapter.c \
  'wanted = wanted || out[read[j]];' \
  'wanted = out[read[j]];' test_walk

fault backward-ends-a-layer-early trainer/adapter/adapter.c \
  'below) || layer > adapter->lowest;' \
  'below) || layer > adapter->lowest + 1;' test_walk

fault asked-rows-are-added-to-old-ones trainer/pass/passbackward.c \
  '    const struct rn_mat to = share(w, step->in);
    pass->kernels->zero_mat(pass->lane, to);' \
  '    const struct rn_mat to = share(w, step->in);' test_walk

fault an-adapted-modules-input-is-shared trainer/pass/passslots.c \
  '(always_kept(&pass->programs[0], slot) || site_reads(pass, index, slot))' \
  'always_kept(&pass->programs[0], slot)' test_walk

fault layers-share-what-attention-read trainer/pass/passslots.c \
  'kept = kept || (step->op == RN_OP_ATTEND && touched) ||' \
  'kept = kept || (step->op == RN_OP_ATTEND && step->in == slot) ||' test_walk

fault layers-share-what-a-norm-read trainer/pass/passslots.c \
  '(step->op == RN_OP_NORM && step->in == slot);' \
  'false;' test_walk

# ---- Products of a device, and its operations of many parts

fault a-candidate-that-failed-is-used-all-the-same trainer/kernels/cuda/cudachoice.c \
  'if (chosen < 0) {' 'if (count < 1) {' test_cuda_products

fault no-algorithm-is-tried trainer/kernels/cuda/cudachoice.c \
  'takes_all(engine, trial, algorithm) && rn_cuda_trial_keeps(trial, algorithm)' \
  'takes_all(engine, trial, algorithm)' test_cuda_products

fault an-algorithm-is-not-asked-what-it-takes trainer/kernels/cuda/cudachoice.c \
  'takes_all(engine, trial, algorithm) && rn_cuda_trial_keeps(trial, algorithm)' \
  '(takes_all(engine, trial, algorithm), rn_cuda_trial_keeps(trial, algorithm))' test_cuda_products

fault the-plan-file-is-believed trainer/kernels/cuda/cudachoice.c \
  'plan != NULL && passes(engine, trial, plan->algorithm)' 'plan != NULL' test_cuda_products

fault an-algorithm-is-tried-while-recording trainer/kernels/cuda/cudachoice.c \
  'RN_ENSURE(!recording, err, RN_E_INTERNAL,' 'RN_ENSURE(true, err, RN_E_INTERNAL,' \
  test_cuda_products

fault an-algorithm-without-a-time-is-the-fastest trainer/kernels/cuda/cudachoice.c \
  'time >= 0.0f && (best < 0 || time < best_time)' 'best < 0 || time < best_time' \
  test_cuda_products

fault a-refused-shape-is-tried-again trainer/kernels/cuda/cudachoice.c \
  '(plan->checked || plan->refused)' 'plan->checked' test_cuda_products

fault a-refusal-is-kept-in-the-file trainer/kernels/cuda/cudaplans.c \
  'if (plans->plans[i].refused) {' 'if (false) {' test_cuda_products

fault no-row-is-tried-alone trainer/kernels/cuda/cudatrial.c \
  'few[] = {1, 8, 100, 384, 1152}' 'few[] = {8, 100, 384, 1152}' test_cuda_products

fault rows-are-not-tried-at-other-places trainer/kernels/cuda/cudatrial.c \
  'keeps = row_keeps(t, (i + turn) % rows, i);' '' test_cuda_products

fault rows-are-not-tried-in-other-company trainer/kernels/cuda/cudatrial.c \
  'keeps = row_keeps(t, i, i);' '' test_cuda_products

fault an-element-may-stay-unwritten trainer/kernels/cuda/cudatrial.c \
  'good = memcmp(t->found + at, poison, size) != 0;' '' test_cuda_products

fault no-row-of-a-trial-cancels trainer/kernels/cuda/cudatrial.c \
  'if (i % 2 == 0 && c >= k / 2) {' 'if (false) {' test_cuda_products

fault a-loss-has-the-maximum-of-its-lane trainer/kernels/cuda/cuda_head.cu \
  'most = rn_warp_max(most);' '' test_cuda_head

fault a-label-is-one-of-32 trainer/kernels/cuda/cuda_head.cu \
  '(c == a.labels[row] ? 1.0 : 0.0)' '(c == a.labels[row] % LANES ? 1.0 : 0.0)' test_cuda_head

fault a-difference-of-logits-is-rounded trainer/kernels/cuda/cuda_head.cu \
  '(double)rn_get(a.logits, row, c) - (double)most' '(double)(rn_get(a.logits, row, c) - most)' \
  test_cuda_head

fault every-site-is-the-first trainer/kernels/cuda/cuda_lora.cu \
  'a.sites[blockIdx.z].b + (int64_t)c * a.rank + r' '(int64_t)c * a.rank + r' test_cuda_many

fault sites-beyond-one-launch-are-left-out trainer/kernels/cuda/cudamany.c \
  'first += RN_CUDA_SITES' 'first = count' test_cuda_many

fault parts-lie-over-each-other trainer/kernels/cuda/cudamany.c 'at += length;' '' test_cuda_many

fault the-last-part-is-the-longest trainer/kernels/cuda/cudamany.c \
  'longest = length > longest ? length : longest;' 'longest = length;' test_cuda_many

fault a-bad-gradient-steps trainer/kernels/cuda/cuda_vector.cu \
  '!a.norm->good || element() >= a.count[r]' 'element() >= a.count[r]' test_cuda_many

fault every-range-begins-at-the-first trainer/kernels/cuda/cuda_vector.cu \
  'a.offset[r] + element()' 'a.offset[0] + element()' test_cuda_many

fault a-gradient-is-not-clipped trainer/kernels/cuda/cuda_vector.cu \
  '(float)factor : 1.0f' '1.0f : 1.0f' test_cuda_many

fault every-range-has-the-sum-of-the-first trainer/kernels/cuda/cuda_vector.cu \
  'next += a.parts[r];' '' test_cuda_many

fault a-threads-part-is-written-too-early trainer/kernels/cuda/cuda_vector.cu \
  '__syncthreads(); /* part is written again */' '' test_cuda_many

fault a-recorded-step-does-not-know-its-clip trainer/kernels/cuda/cudamany.c \
  '.clip = u->clip,
                             .beta1' '.beta1' test_cuda_many

fault a-recorded-step-has-the-rates-of-the-first trainer/kernels/cuda/cudamany.c \
  'rates.lr[i] = u->ranges[i].lr;' 'rates.lr[i] = 0.01f;' test_cuda_many

# ---- Files that users have: tokenizers

fault lines-end-at-the-end-alone trainer/text/textregex.c \
  'put(to, "(?:(?=\\n)|\\z)");' 'put(to, "\\z");' test_textsteps

fault a-hex-digit-is-white-space trainer/text/textregex.c \
  '{'"'"'h'"'"', "[0-9a-fA-F]", "0-9a-fA-F"},' '{'"'"'h'"'"', "\\h", "\\h"},' test_textsteps

fault fractions-are-no-words trainer/text/textregex.c \
  'WORD_IN_CLASS "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"' 'WORD_IN_CLASS' test_textsteps

fault case-folds-wide trainer/text/textregex.c \
  'found = found || ((before | 0x20)' 'found = found && ((before | 0x20)' test_textpattern

fault a-quantifier-may-follow-a-quantifier trainer/text/textregex.c \
  '    to->quantifiable = false;
    to->before = 0;
    if (sign[0]' '    to->before = 0;
    if (sign[0]' test_textpattern

fault a-search-that-stopped-found-nothing trainer/text/textpattern.c \
  'RN_ENSURE(code >= 0 || code == PCRE2_ERROR_NOMATCH, err' 'RN_ENSURE(code != 0, err' \
  test_textpattern

fault patterns-beyond-their-limit trainer/text/textpattern.c \
  'length <= RN_PATTERN_BYTES_MAX,' 'length <= RN_PATTERN_BYTES_MAX + 1,' test_textpattern

fault the-next-word-takes-no-match trainer/text/presplit.c \
  'return !match && before;' 'return match && before;' test_textsteps

fault inverted-matches-stay trainer/text/presplit.c \
  'const bool matches = match != step->invert;' 'const bool matches = match;' test_textsteps

fault a-map-writes-half-characters trainer/text/charsmap.c \
  '&& (map->texts.data[offset] & 0xc0) != 0x80' '' test_textpattern

fault clusters-of-any-length-are-asked-for trainer/text/charsmap.c \
  'if (cluster.length < CLUSTER_BYTES && rewrite' 'if (rewrite' test_textpattern

fault unknown-symbols-do-not-wait trainer/text/bpe.c \
  '    if (!to->model->fuse_unknown) {
        flush_unknown(to);
    }
    to->unknown = true;' '    flush_unknown(to);
    to->unknown = true;
    if (!to->model->fuse_unknown) {
        flush_unknown(to);
    }' test_bpe

fault some-bytes-of-a-character-are-enough trainer/text/bpe.c \
  '            return false;
        }
    }
    for (size_t i = 0; i < character.length; i++) {
        add_symbol' '            continue;
        }
    }
    for (size_t i = 0; i < character.length; i++) {
        add_symbol' test_bpe

fault whole-words-are-merged trainer/text/bpe.c \
  'if (whole != RN_TOKEN_NONE) {' 'if (false) {' test_bpe

# ---- Files that users have: adapters

fault a-rule-matches-inside-a-name trainer/adapter/peftmatch.c \
  '"(.*\\.)?(%s)$"' '"(.*)?(%s)$"' test_peftfile

fault the-last-rule-counts trainer/adapter/peftmatch.c \
  'i < rules->count && *out_rule == NULL; i++' 'i < rules->count; i++' test_peftfile

fault scales-follow-the-rank trainer/adapter/peftrules.c \
  'return config->file_alpha * (config->use_rslora ? sqrt(ratio) : ratio);' \
  'return config->file_alpha * ratio;' test_peftfile

fault rules-beyond-their-limit trainer/adapter/peftrules.c \
  'out->count < RN_PEFT_RULES_MAX' 'out->count <= RN_PEFT_RULES_MAX' test_peftfile

# ---- The privacy ledger: rules

fault one-training-more-than-the-plan-has policy/ledger/privacyrules.c \
  'open->begun < open->plan.trainings, err' 'open->begun <= open->plan.trainings, err' \
  test_privacyledger

fault rounds-go-back policy/ledger/privacyrules.c \
  'intent->round >= open->round,' 'true,' test_privacyledger

fault a-training-has-two-outputs policy/ledger/privacyrules.c \
  'memcmp(before->output, commit->output, 32) == 0,' 'true,' test_privacyledger

fault two-plans-at-once policy/ledger/privacyrules.c \
  'RN_ENSURE(open == NULL, err' 'RN_ENSURE(true, err' test_privacyledger

fault the-filter-has-no-end policy/ledger/privacyrules.c \
  'filter <= bound * (1 + slack), err' 'true || bound > filter, err' \
  test_privacyledger

fault cuts-and-releases-cost-no-delta policy/ledger/privacyrules.c \
  'RN_ENSURE(apart <= rn_privacy_terms_apart(terms) * (1 + slack), err' 'RN_ENSURE(true, err' \
  test_privacyledger

fault a-plan-that-stops-gives-nothing-back policy/ledger/privacyrules.c \
  'ledger->spent += plan_cost(open, open->begun);' \
  'ledger->spent += plan_cost(open, open->plan.trainings);' test_privacyledger

fault a-closed-plan-was-free policy/ledger/privacyrules.c \
  'ledger->spent += plan_cost(open, open->begun);' '' test_privacyledger

fault a-stated-deviation-is-believed policy/ledger/privacyrules.c \
  'return alike(stated->deviation, derived->deviation) &&' 'return' test_privacyledger

fault test-seeds-are-not-counted policy/ledger/privacyrules.c \
  'ledger->test_seeds += intent->rng == RN_PRIVACY_RNG_TEST_SEED ? 1 : 0;' '' test_privacyledger

fault releases-are-free policy/ledger/privacyrules.c \
  'ledger->spent += release_cost(ledger, release);' '' test_privacyledger

# ---- The privacy ledger: bytes

fault lines-may-follow-any-line policy/ledger/privacyledger.c \
  'RN_ENSURE(memcmp(chain, line->chain, sizeof chain) == 0, err' 'RN_ENSURE(true, err' \
  test_privacyledger

fault anybody-signs policy/ledger/privacyledger.c \
  'if (signature && ' 'if (false && signature && ' test_privacyledger

fault numbers-have-many-texts policy/ledger/privacyrecord.c \
  'return rn_view_equal(rn_buffer_view(&again), text);' 'return true;' test_privacyledger

fault a-line-has-no-limit policy/ledger/privacyledger.c \
  'RN_ENSURE(rest.length < RN_PRIVACY_LINE_MAX, err' 'RN_ENSURE(true, err' test_privacyledger

fault rates-are-rounded-to-nearest policy/ledger/privacyterms.c \
  'whole = nextafter(whole, INFINITY);' '' test_privacyterms

fault a-tail-is-its-first-term policy/ledger/privacyterms.c \
  'exp(first) / (1 - ratio)' 'exp(first)' test_privacyterms

fault a-person-is-a-record policy/ledger/privacyterms.c \
  'event.noise = plan->noise / terms->group;' 'event.noise = plan->noise;' test_privacyterms

fault a-plans-epsilon-is-believed policy/ledger/privacyverify.c \
  'RN_ENSURE(plan->epsilon >= value.lower * (1 - 1e-9), err' 'RN_ENSURE(true, err' \
  test_privacyledger

fault epsilon-is-rounded-down policy/ledger/privacysummary.c \
  'if (units / 1e4 < value) {' 'if (false) {' test_privacyterms

fault claims-of-what-is-not-private services/cli/privacy/claimstext.c \
  'RN_TRY(rn_privacy_ledger_claimable(ledger, err));' '' test_privacyclaims

# ---- The privacy ledger: on disk

fault a-fork-is-no-fork services/host/privacycopy.c \
  'memcmp(pieces, pieces + PIECE, piece) == 0' 'true' test_siteprivacy

fault an-appended-line-is-not-synced services/host/privacycopy.c \
  'RN_TRY(write_at_end(copy, bytes, err));
    return sync_bytes(copy, err);' 'return write_at_end(copy, bytes, err);' test_privacycrash

fault what-a-dead-process-wrote-counts-as-durable services/host/privacycopy.c \
  'RN_TRY(sync_bytes(copy, err)); /* also' '/* also' test_privacycrash

fault a-ledgers-name-may-be-lost services/host/privacycopy.c \
  'return rn_privacycopy_sync_name(copy, err);' 'return rn_ok();' test_privacycrash

fault zeros-are-a-line services/host/privacycopy.c \
  'memchr(tail + line, 0, end - line) != NULL' 'false' test_siteprivacy

fault an-unfinished-line-stays services/host/privacycopy.c \
  'if (copy->size > copy->whole) {' 'if (false) {' test_siteprivacy

fault one-copy-is-written services/host/siteprivacy.c \
  'RN_TRY(rn_privacycopy_append(&privacy->copies[i], line, err));' \
  'return rn_privacycopy_append(&privacy->copies[i], line, err);' test_privacycrash

fault a-ledger-goes-on-after-a-failure services/host/siteprivacy.c \
  'RN_ENSURE(!privacy->broken, err' 'RN_ENSURE(true, err' test_privacycrash

fault an-old-ledger-is-a-new-one services/host/siteprivacy.c \
  'RN_ENSURE(privacy->ledger->counter >= counter, err' 'RN_ENSURE(true, err' test_siteprivacy

fault terms-change services/host/siteprivacy.c \
  'RN_TRY(rn_privacy_terms_equal(&privacy->ledger->terms, terms, err));' '' test_siteprivacy

fault the-shorter-copy-counts services/host/siteprivacy.c \
  '*out = a->whole > b->whole ? a : b;' '*out = a->whole > b->whole ? b : a;' test_siteprivacy


# ---- Mistakes that private trainings elsewhere have made

fault a-private-round-takes-the-batches-of-an-epoch services/host/roundprivacy.c \
  'allocated ? RN_DP_ALLOCATION : RN_DP_POISSON' 'RN_DP_BATCHES' test_roundprivacy

fault steps-are-what-a-training-says policy/ledger/privacyrules.c \
  'intent->steps == open->plan.steps' 'true' test_privacyledger

fault delta-may-stand-for-whole-records policy/ledger/privacyterms.c \
  ' && terms->delta <= delta_max' '' test_privacyterms

fault exact-losses-are-sent-along policy/plan.c \
  'if (plan->metrics != RN_METRICS_HOME) {' 'if (false) {' test_privacyrules

# ---- Random allocation

fault allocations-spread-beyond-their-mean policy/accountant/pldlaw.c \
  'table->share[k] = expm1((g - floor(g)) * h) / expm1(h);' 'table->share[k] = 0;' test_allocation

fault what-lies-above-a-law-is-forgotten policy/accountant/pldlaw.c \
  'law->lost += mean - mass * law->value[to];' '' test_allocation

fault cells-stand-above-their-mean policy/accountant/pldlaw.c \
  'law->value[i] / law->mass[i] : 0' '1.02 * law->value[i] / law->mass[i] : 0' test_allocation

fault a-pick-of-more-slots-is-one-of-all policy/accountant/pldevents.c \
  'add_picks(list, listed, event, slots, event->picks - more);' \
  'add_picks(list, listed, event, event->slots, event->picks - more);' test_allocation

fault an-allocation-added-is-the-one-removed policy/accountant/pldallocation.c \
  'book(step, -place, law.h, law.mass[i]);' \
  'book(step, -place, law.h, law.mass[i] * law.value[i] / mix->slots);' test_allocation

fault a-straight-line-ends-at-an-order policy/accountant/allocgauss.c \
  'part * high) / (order - 1)' 'part * low) / (order - 1)' test_allocation

fault allocations-of-all-kinds-are-one-event policy/ledger/privacyledger.c \
  'a->picks == b->picks &&' '' test_privacyledger

fault an-allocation-is-charged-by-its-steps policy/ledger/privacyterms.c \
  'event.count = count / plan->steps;' 'event.count = count;' test_privacyterms

fault a-tenth-of-a-pick-is-a-pick policy/plan.c \
  'fabs(picks - rn_plan_picks(plan)) <= 1e-9 * picks' 'picks > 1e-9' test_privacyrules

# ---- The accountants: Renyi divergences, the filter, shares of noise, calibration

fault a-square-of-the-exponent-is-rounded policy/accountant/normal.c \
  'exp(square) * erfc(x) * (1 + fma(x, x, -square))' 'exp(square) * erfc(x)' test_normal

fault close-tails-are-subtracted policy/accountant/normal.c \
  'gap <= fmax(1, a) / 4' 'gap < 0' test_normal

fault negative-losses-are-mirrored policy/accountant/normal.c \
  'log(-expm1(eps) + exp(eps + log_delta_upper(mu, -eps)))' 'log_delta_upper(mu, -eps)' test_normal

fault the-smaller-neighbour-is-the-epsilon policy/accountant/normal.c \
  'if (rn_gauss_log_delta(mu, middle) <= target) {' \
  'if (rn_gauss_log_delta(mu, middle) > target) {' test_normal

fault the-far-hump-is-left-out policy/accountant/sampledgauss.c \
  'fmax(power, 2) / mix->noise + REACH' '2 / mix->noise + REACH' test_rdp

fault nodes-are-too-far-apart policy/accountant/sampledgauss.c \
  'fmin(1, mix->noise) / 4' 'fmin(1, mix->noise)' test_rdp

fault small-ratios-lose-their-digits policy/accountant/sampledgauss.c \
  'if (fabs(u) <= 0.25 && fabs(power * u) <= 1) {' 'if (fabs(u) == 0) {' test_rdp

fault one-plus-u-is-rounded policy/accountant/sampledgauss.c \
  'fabs(u) > 0.5 ? log_of_sum(mix, z) : log1p(u)' 'u > 0.5 ? log_of_sum(mix, z) : log1p(u)' test_rdp

fault a-person-has-one-record policy/accountant/rdp.c \
  'rn_sampled_gauss_rdp(event->rate, event->noise, event->group, order)' \
  'rn_sampled_gauss_rdp(event->rate, event->noise, 1, order)' test_rdp

fault repetitions-are-free policy/accountant/rdp.c \
  '*out = (double)event->count * once;' '*out = once;' test_rdp

fault an-epsilon-is-its-divergence policy/accountant/rdp.c \
  'once = response_rdp(event->epsilon, order);' 'once = event->epsilon;' test_rdp

fault a-delta-is-forgotten policy/accountant/rdp.c \
  'if (event->delta > 0) {' 'if (false) {' test_rdp

fault the-conversion-is-the-old-one policy/accountant/rdp.c \
  'return fmax(0, rdp + order_term(order) - log(delta) / (order - 1));' \
  'return fmax(0, rdp - log(delta) / (order - 1));' test_rdp

fault orders-of-the-grid-alone policy/accountant/ordersearch.c \
  'while (high - low > 1e-8) {' 'while (false) {' test_rdp

fault an-end-of-the-orders-is-not-said policy/accountant/ordersearch.c \
  'place <= 0 || place >= 1' 'false' test_rdp

fault the-bound-is-the-old-conversions policy/accountant/filter.c \
  'return epsilon + (log(delta) + log(order)) / (order - 1) - log1p(-1 / order);' \
  'return epsilon + log(delta) / (order - 1);' test_filter

fault the-last-charge-passes-the-bound policy/accountant/filter.c \
  'if (!(cost >= 0 && sum <= bound)) {' 'if (!(cost >= 0 && *spent <= bound)) {' test_filter

fault a-negative-cost-is-a-refund policy/accountant/filter.c \
  'if (!(cost >= 0 && sum <= bound)) {' 'if (!(sum <= bound)) {' test_filter

fault what-is-too-small-to-add-is-free policy/accountant/filter.c \
  'nextafter(*spent + cost, INFINITY)' '*spent + cost' test_filter

fault a-refused-plan-is-spent policy/accountant/filter.c \
  '        return false;
    }
    *spent = sum;' '        *spent = sum;
        return false;
    }
    *spent = sum;' test_filter

fault shares-are-as-good-as-one-gaussian policy/accountant/noiseshares.c \
  'return 10 * sum;' 'return 0;' test_noiseshares

fault skellam-is-gaussian policy/accountant/noiseshares.c \
  'return order * square / (2 * variance) + fmin(far, 3 * query->norm1 / (2 * variance));' \
  'return order * square / (2 * variance) + 0 * far;' test_noiseshares

fault anything-is-sampled-like-the-gaussian policy/accountant/noiseshares.c \
  '(l > 2 ? log(3) : 0)' '0' test_noiseshares

fault a-lost-party-takes-its-noise policy/accountant/noiseshares.c \
  'variance / ((left + 1) * left)' 'variance / (left * left)' test_noiseshares

fault deltas-of-events-are-free policy/accountant/accountant.c \
  'const double left = (delta - extra) / (1 - extra);' 'const double left = delta + 0 * extra;' \
  test_accountant

fault a-rate-may-be-no-number policy/accountant/privacyevent.c \
  '(event->rate >= RN_PRIVACY_RATE_MIN && event->rate <= 1)' \
  '!(event->rate < RN_PRIVACY_RATE_MIN || event->rate > 1)' test_accountant

fault one-event-too-many policy/accountant/privacyevent.c \
  'count <= RN_PRIVACY_EVENTS_MAX' 'count <= RN_PRIVACY_EVENTS_MAX + 1' test_accountant

fault calibration-stops-at-the-wrong-side policy/accountant/calibrate.c \
  '        return rn_ok(); /* an end of the range; met says whether it is enough */
    }
    return cross(c, met, &missed, err);' '        return rn_ok();
    }
    RN_TRY(cross(c, met, &missed, err));
    *met = missed;
    met->met = true;
    return rn_ok();' test_accountant

fault too-much-is-a-guarantee policy/accountant/calibrate.c \
  'RN_ENSURE(met.met, err, RN_E_REFUSED' 'RN_ENSURE(true, err, RN_E_REFUSED' test_accountant

# ---- Privacy-loss distributions

fault losses-all-go-to-the-place-above policy/accountant/pldstep.c \
  'mass * fmin(fmax(up, 0), 1)' 'mass * (up < 2)' test_pldstep

fault losses-all-go-to-the-place-below policy/accountant/pldstep.c \
  'mass * fmin(fmax(up, 0), 1)' 'mass * (up > 2)' test_pldstep

fault what-lies-above-the-range-is-forgotten policy/accountant/pldstep.c \
  'dots->step->infinity += dots->share * rn_pld_pair_above(pair, high);' '' test_pldstep

fault one-lattice-place-too-many policy/accountant/pldstep.c \
  'count <= bins_max, err' 'count <= bins_max + 1, err' test_pldstep

fault bins-that-fall-short-stay-where-they-are policy/accountant/pldlower.c \
  'if (bin->over < 0) {' 'if (bin->over < -1) {' test_pldstep

fault bins-are-solved-towards-no-loss policy/accountant/pldlower.c \
  'best = place;' 'best = 0;' test_pldstep

fault the-offset-is-not-solved policy/accountant/pldlower.c \
  'offset = fmin(fmax(next, -step->h), step->h);' 'offset = 0;' test_pldstep

fault low-losses-are-taken-from-a-sum-near-minus-one policy/accountant/pldpair.c \
  'sum > -0.5 ? log1p(sum)' 'sum > -1 ? log1p(sum)' test_pldstep

fault composition-is-not-tilted policy/accountant/pldcompose.c \
  'out->lambda = rn_pld_tilt(steps, around);' 'out->lambda = 0;' test_pld

fault the-array-is-read-without-its-turn policy/accountant/pldcompose.c \
  'modulo(out->first - s->shift, s->n)' 'modulo(out->first, s->n)' test_pld

fault infinity-is-not-composed policy/accountant/pldcompose.c \
  'out->infinity = -expm1(log_finite);' 'out->infinity = 0;' test_pldevents

fault losses-do-not-fade-between-places policy/accountant/pldread.c \
  'scan->below = scan->below * decay + term;' 'scan->below = scan->below + term;' test_pldevents

fault the-size-of-a-delta-stays-a-guess policy/accountant/pld.c \
  'query->delta = fmax(fmin(query->delta, query->upper[worse(query)]), DELTA_LEAST);' '' test_pld

fault lattices-miss-the-known-losses policy/accountant/pld.c \
  'in_limits(events->atom > 0 ? events->atom / ceil(events->atom / h) : h)' 'in_limits(h)' \
  test_pldevents

fault equal-events-count-once policy/accountant/pldevents.c \
  'list[kept - 1].count += list[i].count;' '' test_pld

fault a-full-batch-keeps-every-record policy/accountant/pldmix.c \
  'b * sums->cap / (k + 1) : 0' 'b : 0' test_pldevents

fault a-batch-is-full-one-mate-later policy/accountant/pldmix.c \
  'k < sums->cap - 1 ? b' 'k < sums->cap ? b' test_pldevents

fault responses-are-even policy/accountant/pldmix.c \
  '(1 - delta) / (1 + exp(-epsilon))' '(1 - delta) / 2' test_pldevents

fault absence-bounds-no-test policy/accountant/pldattack.c \
  '{by_presence, by_absence}' '{by_presence, by_presence}' test_pldevents

# ---- A member's stop

fault stop-of-any-plan services/federation/jobstop.c \
  'RN_ENSURE(rn_view_equal(plan_hash, rn_view_of(basis->plan->hash, RN_HASH_BYTES)), err,' \
  'RN_ENSURE(true || plan_hash.length == 0, err,' test_jobstop

fault stop-is-not-verified services/federation/jobstop.c \
  '    RN_TRY(check_signature(&stop, basis->roster, err));
' '    (void)check_signature(&stop, basis->roster, err);
' test_jobstop

fault stop-of-nobody services/federation/jobstop.c \
  'RN_ENSURE(stop->place < roster->count, err' 'RN_ENSURE(true, err' test_jobstop

fault stop-reason-one-longer services/federation/jobstop.c \
  'reason.length <= RN_ABORT_TEXT_MAX, err' 'reason.length <= RN_ABORT_TEXT_MAX + 1, err' test_jobstop

fault stop-reason-of-any-bytes services/federation/jobstop.c \
  'reason.data[i] >= 0x20 && reason.data[i] <= 0x7e' 'reason.data[i] != 0' test_jobstop

fault stop-is-not-kept services/federation/partstop.c \
  '    rn_job_stop_write(stop, p->next_round, p->out);
' '' test_job_stop

fault stop-leaves-the-secrets services/federation/partstop.c \
  'if (!session->following) {' 'if (false) {' test_jobstop

fault stop-lets-the-next-session-begin services/federation/partsession.c \
  'return rn_part_is_stopped(p) || ' 'return ' test_jobstop

fault stop-is-not-said-again services/federation/participation.c \
  '    case RN_PART_WELCOMED:
        rn_part_stop_say(p);
' '    case RN_PART_WELCOMED:
' test_job_stop

fault stop-waits-for-an-answer-without-end services/federation/partstop.c \
  'p->greeted && stop->answered ? ANSWERED_MS : ALONE_MS;' 'p->greeted ? ANSWERED_MS : ALONE_MS;' test_jobstop

fault stop-the-last-counts services/federation/partstop.c \
  'return rn_part_is_stopped(p) ? rn_ok() : hold(p, &stop, err);' 'return hold(p, &stop, err);' test_jobstop

fault stop-is-forgotten-by-the-coordinator services/federation/coordstop.c \
  '    rn_job_stop_write(&c->stop, c->round, c->out);
' '' test_job_stop

fault stop-goes-to-who-brought-it-alone services/federation/coordstop.c \
  '        c->peers[i].wants_stop = true;
    }' '        c->peers[i].wants_stop = i == index;
    }' test_job_stop

fault stop-of-a-job-that-has-ended services/federation/coordstop.c \
  'RN_ENSURE(rn_is_ok(c->result) && c->phase < RN_COORDINATION_LINGER, err' 'RN_ENSURE(true, err' test_job_stop

fault stop-is-not-told-at-the-greeting services/federation/coordpeers.c \
  'peer->wants_signatures = peer->wants_stop = true;' 'peer->wants_signatures = true;' test_job_stop

fault stop-waits-for-split-votes services/federation/coordsession.c \
  'return !rn_is_ok(c->result) && session->stage' 'return false && session->stage' test_job_stop


# ---- A member's promise in a federated job

fault an-older-ledger-is-taken services/host/roundprivacy.c \
  'begun >= rounds && last >= round, err' \
  'true, err' \
  test_roundprivacy

fault a-lost-promise-is-no-matter services/host/roundprivacy.c \
  'RN_ENSURE(lineages.count == 0, err' \
  'RN_ENSURE(true, err' \
  test_roundprivacy

fault the-salt-is-anybodys services/host/roundprivacy.c \
  'rn_view_of(salt, sizeof salt), 0600, err' \
  'rn_view_of(salt, sizeof salt), 0644, err' \
  test_roundprivacy

fault a-closed-plan-cannot-start-again services/host/siteprivacy.c \
  '    if (known != NULL) {
        RN_ENSURE(same_plan(&known->plan, plan)' \
  '    if (known != NULL && !known->closed) {
        RN_ENSURE(same_plan(&known->plan, plan)' \
  test_roundprivacy

fault retries-are-free policy/privacyquote.c \
  '.trainings = (uint32_t)rn_plan_trainings(plan),' \
  '.trainings = plan->rounds,' \
  test_privacyrules

fault a-threshold-is-rounded-up policy/privacyquote.c \
  'return scaled < 1.0 ? 1 : (uint64_t)scaled;' \
  'return scaled < 1.0 ? 1 : (uint64_t)scaled + 1;' \
  test_privacyrules

fault any-noise-is-enough policy/decideprivacy.c \
  'q->plan->noise >= q->policy->noise_min' \
  'q->plan->noise > 0' \
  test_privacyrules

fault any-rate-will-do policy/decideprivacy.c \
  'q->plan->rate <= q->policy->rate_max' \
  'q->plan->rate <= 1' \
  test_privacyrules

fault any-clip-will-do policy/decideprivacy.c \
  'q->plan->clip <= q->policy->clip_max' \
  'q->plan->clip > 0' \
  test_privacyrules

fault noise-is-never-required policy/decideprivacy.c \
  '!policy->privacy.required' \
  'true' \
  test_privacyrules

fault earlier-plans-are-free policy/decideprivacy.c \
  'spent->filter + quote->cost <= quote->terms.bound' \
  'quote->cost <= quote->terms.bound' \
  test_privacyrules

fault earlier-cuts-are-free policy/decideprivacy.c \
  'spent->apart + quote->apart <= apart' \
  'quote->apart <= apart' \
  test_privacyrules

fault an-update-leaves-when-it-is-there services/federation/participation.c \
  '        if (p->now.monotonic_ms < p->reply.due_ms) {' \
  '        if (false) {' \
  test_participation

fault an-offer-begins-a-new-grid services/federation/participation.c \
  '    if (reply->round == session->round &&' \
  '    if (reply->round == session->round && session->attempt == 1 &&' \
  test_participation

fault signs-of-life-end-with-training services/federation/partround.c \
  'const bool private = rn_plan_is_private(plan_of(p));' \
  'const bool private = false;' \
  test_participation

# ---- The federation's log

fault leaves-and-nodes-look-alike policy/tlog/merkle.c \
  'rn_view_of("\x00", 1), entry}' 'rn_view_of("\x01", 1), entry}' test_merkle

fault trees-split-in-the-middle policy/tlog/merkle.c \
  'return (uint64_t)1 << (63 - __builtin_clzll(size - 1));' 'return (size + 1) / 2;' test_merkle

fault a-proof-may-be-longer policy/tlog/merkle.c \
  'return last == 0 && rn_hash_equal(&hash, root);' 'return rn_hash_equal(&hash, root);' test_merkle

fault the-old-root-is-not-looked-at policy/tlog/merkle.c \
  'rn_hash_equal(&old, root_before) && rn_hash_equal(&new, root)' 'rn_hash_equal(&new, root)' test_merkle

fault a-full-tile-goes-up-as-its-last-hash policy/tlog/tlogend.c \
  '    rn_tilehash(end->tiles[level], RN_TLOG_TILE_WIDTH, &hash);' '' test_tlog

fault a-bundle-is-not-held-to-its-tile policy/tlog/tlogreader.c \
  'rn_hash_equal(&leaf, &end->tiles[0][count])' 'true' test_tlog

fault entries-may-be-longer-than-their-length policy/tlog/tlogend.c \
  'entry.length <= RN_TLOG_ENTRY_MAX &&' 'true &&' test_tlog

fault a-key-id-is-not-looked-at policy/tlog/note.c \
  'good && rn_view_equal(rn_buffer_view(&again), text), err, RN_E_DATA' 'good, err, RN_E_DATA' test_note

fault a-cosignature-is-one-of-any-type policy/tlog/note.c \
  'if (key->type == RN_NOTE_COSIGNATURE) {' 'if (false) {' test_note

fault base64-of-a-stranger-form crypto/base64.c \
  'return rn_view_equal(rn_buffer_view(&again), text);' 'return true;' test_note

fault a-size-may-have-leading-zeros policy/tlog/notecheckpoint.c \
  'rn_view_equal(rn_buffer_view(&again), text)' 'true' test_note

fault an-entry-has-many-texts policy/tlog/tlogentry.c \
  'fields_read(object, out) && same_bytes(bytes, out)' 'fields_read(object, out)' test_tlogentry

fault anybodys-key-is-the-members policy/tlog/tlogkeys.c \
  'strcmp(out->name, wanted.name) == 0' 'true' test_tlogentry

fault an-update-may-leave-entries-out policy/tlog/tlogupdate.c \
  'count == out->checkpoint.size - out->from' 'true' test_tlogentry

fault a-member-cosigns-whatever-was-signed services/host/tlogmirror.c \
  'rn_tlog_end_root(&mirror->end, &root);' 'root = update->checkpoint.root;' test_tlogmirror

fault a-shorter-fork-is-none services/host/tlogmirror.c \
  '                                                          : forked(mirror, update, bytes, err);' \
  '                                                          : rn_ok();' test_tlogmirror

fault a-cosignature-brings-a-text-of-its-own services/host/tlogwriter.c \
  'RN_ENSURE(is_one_line(report->line), err' 'RN_ENSURE(true, err' test_tlogmirror

fault a-copy-without-files-is-an-empty-one services/host/tlogmirror.c \
  'if (!rn_tlog_folder_begun(&mirror->folder)) {' 'if (true) {' test_tlogmirror

fault a-member-forgets-where-it-was services/host/tlogmirror.c \
  'return rn_tlog_folder_write(&mirror->folder, "checkpoint", rn_buffer_view(&mirror->note), err);' \
  'return rn_ok();' test_tlogmirror

fault the-logs-key-is-whoever-says-so services/host/tlogmirror.c \
  'return rn_tlog_statement_verify(roster, RN_TLOG_COORDINATOR, rn_view_text(entry.key),' \
  'return rn_tlog_statement_verify(roster, 1, rn_view_text(entry.key),' test_tlogmirror

fault an-old-cosignature-stays services/host/tlogwriter.c \
  'report->size != writer->size' 'false' test_tlogmirror

fault an-entry-goes-in-twice services/host/tlogwriter.c \
  'if (number < writer->job_entries) {' 'if (false) {' test_tlogmirror

fault cosignatures-of-a-checkpoint-are-forgotten services/host/tlogwriter.c \
  'writer->cosigned_since = true;' '' test_tlogmirror

# ---- A network over rows of numbers

fault a-network-without-its-activation trainer/model/mlp.c \
  '.activation = RN_ACTIVATION_RELU}' '.activation = RN_ACTIVATION_NONE}' test_mlp

fault the-head-takes-no-slope-in trainer/pass/passhead.c \
  'back_dense(pass, dlogits, w, cls,
                   rn_block_activation(adapter->encoder->config.family->layer), dcls);' \
  'back_dense(pass, dlogits, w, cls, RN_ACTIVATION_NONE, dcls);' test_mlp

fault relu-lets-a-slope-through-below-zero trainer/kernels/cpu/cpu_epilogue.body.h \
  'return v_select_less(v_set(0.0f), kept, v_set(1.0f), v_set(0.0f));' 'return v_set(1.0f);' test_mlp \
  trainer/kernels/cpu/cpu_avx512.c

fault relu-of-the-oracle-lets-a-slope-through trainer/kernels/ref/ref_linear.c \
  'return kept > 0.0 ? 1.0 : 0.0;' 'return 1.0;' test_mlp

fault b-starts-at-zero-on-a-base-of-zero trainer/adapter/adapter.c \
  'if (zero_base) {' 'if (false) {' test_mlp

fault a-on-a-base-of-zero-starts-as-elsewhere trainer/adapter/adapter.c \
  '(double)(zero_base ? a->rows : a->cols)' '(double)a->cols' test_mlp

fault the-lone-part-keeps-no-factor-u trainer/pass/passexamples.c \
  'each->gradients + part->u);' 'each->gradients + part->u + 1);' test_mlp

fault rows-of-a-block-change-places trainer/pass/passload.c \
  'put_row(pass, example, tokens);' 'put_row(pass, example, 0);' test_mlp

fault a-zero-base-takes-all-inputs trainer/model/encoder.c \
  'const uint32_t columns = rn_zero_columns(k);' 'const uint32_t columns = k;' test_mlp

fault the-mean-is-not-taken-off trainer/data/rows.c \
  '(value / scale->divisor - scale->mean)' '(value / scale->divisor)' test_rows

fault one-number-too-many-is-let-pass trainer/data/rows.c \
  'RN_ENSURE(at >= text.length && !comma, err' 'RN_ENSURE(at >= text.length, err' test_rows

fault the-label-is-one-of-the-numbers trainer/data/recordrange.c \
  'if (labelled && i == records->columns[RN_COLUMN_LABEL]) {' 'if (false) {' test_rows

fault a-range-goes-beyond-the-columns trainer/data/recordrange.c \
  'records->range_last == SIZE_MAX || last == records->range_last, err' 'true, err' test_rows

fault labels-of-another-number-are-taken trainer/data/idxfile.c \
  'labels->width == 1 && labels->count == idx->images.count, err' 'labels->width == 1, err' test_rows

fault an-idx-record-has-no-limit trainer/data/idxfile.c \
  'width >= 1 && width <= RN_IDX_WIDTH_MAX, err' 'width >= 1, err' test_rows

fault an-idx-file-may-go-on trainer/data/idxfile.c \
  'gzread(part->file, &byte, 1) == 0, err' 'gzread(part->file, &byte, 1) >= 0, err' test_rows

fault a-text-model-takes-numbers trainer/data/dataset.c \
  'reader->tokenizer == NULL || !rn_records_are_rows(records), err' 'true, err' test_rows

# ---- Simulated jobs

fault a-client-may-stay-without-a-record trainer/data/datapartition.c \
  'if (empty == spec->parts) {' 'if (true) {' test_datapartition

fault a-class-goes-to-its-first-owner trainer/data/datapartition.c \
  'out[p] = owns(spec, p, class_) ? 1.0 / (double)owners : 0.0;' \
  'out[p] = owns(spec, p, class_) ? 1.0 : 0.0;' test_datapartition

fault records-are-dealt-in-their-order trainer/data/datapartition.c \
  'rn_generator_permutation(generator, records, order);' \
  'for (size_t i = 0; i < records; i++) order[i] = (uint32_t)i;' test_datapartition

fault masked-members-round-by-another-key services/simulate/simsite.c \
  'rn_sim_rounding(site->basis.plan, site->place, round, out_key);' \
  'rn_sim_rounding(site->basis.plan, site->place, round + 1, out_key);' test_simulate

fault a-resumed-job-forgets-the-heads services/simulate/simstate.c \
  'rn_read_copy(reader, world->heads, floats * sizeof(float));' '' test_simulate

fault a-damaged-state-goes-through services/simulate/simstate.c \
  'RN_ENSURE(memcmp(hash, all.data + reader.in.length, RN_HASH_BYTES) == 0, err' \
  'RN_ENSURE(true, err' test_simulate

fault another-plans-state-goes-through services/simulate/simstate.c \
  'RN_ENSURE(memcmp(hash, settings, RN_HASH_BYTES) == 0, err' 'RN_ENSURE(true, err' test_simulate

fault the-same-members-in-every-round services/simulate/simround.c \
  'rn_write_u32(&writer, round);' 'rn_write_u32(&writer, 1);' test_simulate

# ---- Noise in shares

fault shared-a-sign-is-never-drawn crypto/discretenoise.c \
  'const bool negative = chance(words, 1, 2);' \
  'const bool negative = false;' \
  test_discretenoise

fault shared-a-zero-counts-twice crypto/discretenoise.c \
  '(length > 0 || !negative) && is_kept' \
  'is_kept' \
  test_discretenoise

fault shared-noise-is-laplace crypto/discretenoise.c \
  '&& is_kept(words, (uint64_t)length, s)' \
  '' \
  test_discretenoise

fault shared-a-fork-draws-the-same crypto/discretenoise.c \
  'RN_BUG_IF(noise->process != getpid());' \
  '' \
  test_discretenoise

fault shared-orders-are-whole policy/accountant/sharednoise.c \
  'const double part = order - below;' \
  'const double part = 0;' \
  test_noiseshares

fault shared-noise-has-a-pld policy/accountant/pldmix.c \
  'case RN_PRIVACY_SHARED:' \
  'case RN_PRIVACY_SHARED: add_part(mix, 1, event->grid, event->rate, 1, direction); return rn_ok();' \
  test_noiseshares

fault shared-a-share-is-rounded-down policy/ledger/privacyterms.c \
  'ceil(noise * grid / sqrt(honest))' \
  'floor(noise * grid / sqrt(honest))' \
  test_sharedledger

fault shared-a-group-is-sampled policy/ledger/privacyterms.c \
  'terms->group == 1 ? rn_privacy_rate(plan->threshold) : 1' \
  'rn_privacy_rate(plan->threshold)' \
  test_privacyrules

fault shared-a-group-moves-like-a-record policy/ledger/privacyterms.c \
  '(double)plan->grid * terms->group' \
  '(double)plan->grid' \
  test_privacyrules

fault shared-plans-pass-as-others policy/ledger/privacyrules.c \
  'record->kind == rn_privacy_plan_kind(plan)' \
  'true' \
  test_sharedledger

fault shared-any-epsilon-is-stated policy/ledger/privacyverify.c \
  'plan->epsilon >= value.upper * (1 - RDP_SLACK)' \
  'true' \
  test_sharedledger

fault shared-trust-is-not-asked-for policy/decideprivacy.c \
  'q->honest <= q->policy->shared_honest' \
  'q->policy->shared_honest > 0 || q->honest == 0' \
  test_privacyrules

fault shared-noise-has-no-room policy/sharedplan.c \
  '(uint64_t)RN_DISCRETE_NOISE_REACH * rn_shared_deviation(plan)' \
  '0' \
  test_privacyrules

fault shared-an-offset-of-one-member services/round/roundvector.c \
  'const uint64_t offset = members * spec->reach;' \
  'const uint64_t offset = spec->reach;' \
  test_shared_round

fault shared-a-step-goes-uphill services/round/roundvector.c \
  '(float)-((double)whole' \
  '(float)((double)whole' \
  test_shared_round

fault shared-a-session-does-not-say-its-range services/round/roundspec.c \
  '        rn_write_u64(&writer, spec->reach);' \
  '' \
  test_shared_round

fault shared-a-sum-has-no-noise trainer/privacy/dpstep.c \
  '        out[i] += noise[i];' \
  '        (void)noise;' \
  test_noisysum

fault shared-a-sum-lies-in-its-own-order trainer/privacy/dpstep.c \
  'sum + compact_of(dp, adapter->places[i])' \
  'sum + segment->offset' \
  test_noisysum

fault shared-each-adds-the-whole-noise services/host/roundprivacy.c \
  'rn_shared_deviation(plan) / (double)RN_PRIVACY_GRID' \
  'plan->privacy.noise' \
  test_roundprivacy

fault shared-noise-is-rounded services/host/roundprivacy.c \
  'rn_dp_source_lend(source, rn_plan_is_shared(whole), out);' \
  'rn_dp_source_lend(source, false, out);' \
  test_roundprivacy

fault shared-colluders-are-honest policy/plannumbers.c \
  '.honest = plan->secagg.honest,' \
  '.honest = 2,' \
  test_secagg_shared

fault an-interval-by-the-wrong-degrees services/cli/simulate/studyreport.c \
  'student[count - 2]' 'student[count - 1]' test_study

fault a-quick-study-forgets-the-most-clients services/cli/simulate/studyfile.c \
  'clients[1] = clients[last];' '' test_study

# SPDX-License-Identifier: Apache-2.0
#
# The faults of faults.sh. One a paragraph: name, file, what stands there, what to make of it, the
# test that finds it.
fed=services/federation

# ---- Ordering of commit and send

fault coordinator-sends-before-it-writes $fed/coordsession.c \
  'execute_one(c, session, &actions->items[i], &outcome);' \
  'execute_one(c, session, &actions->items[actions->count - 1 - i], &outcome);' \
  test_job_rounds:test_calm_jobs_end_well

fault member-sends-before-it-writes $fed/partactions.c \
  'result = execute_one(p, &actions->items[i], &more, err);' \
  'result = execute_one(p, &actions->items[actions->count - 1 - i], &more, err);' \
  test_job_rounds:test_calm_jobs_end_well

fault attempt-is-not-written $fed/coordsession.c \
  'rn_coord_write_attempt(c, session); /* the number is used up before anybody hears of it */' '' \
  test_job_restart:test_signal_before_ready_ends_at_once

fault coordinator-loses-its-records $fed/coordsession.c \
  'rn_coord_write_machine(c, session, RN_RECORD_AGGREGATOR, &action->bytes);' '' \
  test_job_rounds:test_calm_jobs_end_well

fault sum-without-adapter $fed/jobsum.c \
  'key.kind = RN_RECORD_ADAPTER;' 'key.kind = RN_RECORD_METRICS;' \
  test_job_restart:test_coordinator_crashes_at_every_effect

fault sum-is-written-after-it-is-sent $fed/coordsession.c \
  'if (session == &c->session && !session->summed && !session->refused) {' \
  'if (session == &c->session && !session->summed && !session->refused && c->peers[0].next_round > session->round) {' \
  test_job_rounds:test_calm_jobs_end_well

fault ledger-is-not-kept $fed/partactions.c \
  'if (action->keep) {' 'if (action->keep && p == NULL) {' \
  test_job_rounds:test_old_adapters_and_sessions_go

fault member-takes-a-sum-twice $fed/partround.c \
  'if (p->last.round != p->session.round) {' 'if (p->last.round != p->session.round || p->summed > 0) {' \
  test_job_restart:test_member_crashes_at_every_effect

# ---- Floors, and whom to wait for

fault session-with-too-few $fed/coordination.c \
  'return come && present >= floor' 'return come && present >= 1' \
  test_job_trouble:test_too_few_members

fault first-session-waits-for-nobody $fed/coordination.c \
  'c->first_session ? secagg->stage_soft_s * UINT64_C(1000) : RN_COORD_ABSENT_MS' \
  'c->first_session ? 0 : RN_COORD_ABSENT_MS' \
  test_job_rounds:test_first_session_waits_for_the_last_member

fault gives-up-before-the-first-session $fed/coordination.c \
  'if (c->first_session || c->clock_ms - c->phase_ms < limit_ms) {' \
  'if (c->clock_ms - c->phase_ms < limit_ms) {' \
  test_job_trouble:test_too_few_members

fault declined-counts-as-missing $fed/coordsession.c \
  'return peer->stranded || declined ||' 'return peer->stranded || (declined && follows) ||' \
  test_job_trouble:test_declining_member_holds_nobody

fault hopeless-stages-are-sat-through $fed/coordsession.c \
  'wait_no_longer(c, &missing, hopeless ? timeout.hard_ms' 'wait_no_longer(c, &missing, hopeless && false ? timeout.hard_ms' \
  test_job_trouble:test_all_decline

fault absent-members-are-waited-for $fed/coordsession.c \
  'return c->clock_ms - peer->since_ms >= RN_COORD_ABSENT_MS;' 'return false;' \
  test_job_trouble:test_member_that_is_never_there

fault refusals-are-not-said $fed/partsession.c \
  '.stage = RN_SA_STAGE_OFFER,
                                                        .reason = (uint32_t)result.code});' \
  '.stage = RN_SA_STAGE_OFFER});' \
  test_job_trouble:test_declining_member_holds_nobody

fault reason-of-a-refusal-is-lost $fed/coordpeers.c \
  'peer->why = (enum rn_code)status->reason;' '' \
  test_job_trouble:test_declining_member_holds_nobody

fault stranded-members-are-waited-for $fed/coordination.c \
  '} else if (!peer->stranded && c->clock_ms' '} else if (c->clock_ms' \
  test_job_catchup:test_lost_state_is_stranded

# ---- Attempts and rule A9

fault spent-round-is-offered-again $fed/coordoutcome.c \
  'const bool spent = !outcome->certified && session->reached >= RN_SA_STAGE_UPLOAD;' \
  'const bool spent = false;' \
  test_job_rounds:test_spent_round_is_not_offered_again

fault certified-round-is-given-up $fed/coordoutcome.c \
  'const bool spent = !outcome->certified && session->reached' 'const bool spent = session->reached' \
  test_job_catchup:test_abort_certificate_reaches_who_was_away

fault one-attempt-too-many $fed/coordoutcome.c \
  'c->attempt >= c->basis->plan->secagg.attempts' 'c->attempt > c->basis->plan->secagg.attempts' \
  test_job_rounds:test_skipped_rounds_are_counted

fault one-lost-round-ends-the-job $fed/coordoutcome.c \
  'c->row.rounds >= 2' 'c->row.rounds >= 1' \
  test_job_rounds:test_skipped_rounds_are_counted

fault lost-rounds-never-end-the-job $fed/coordoutcome.c \
  'c->row.rounds >= 2' 'c->row.rounds >= 3' \
  test_job_rounds:test_two_lost_rounds_end_the_job

fault a-sum-does-not-end-the-row $fed/coordinationstate.h \
  '        c->row = (struct rn_coord_row){0};
' '' \
  test_job_rounds:test_lost_rounds_apart_do_not_end_the_job

fault row-of-lost-rounds-is-forgotten $fed/coordresume.c \
  '    rn_coord_row_add(c, &results->last);
' '' \
  test_job_restart:test_lost_rounds_are_counted_over_a_restart

fault other-methods-skip-rounds $fed/coordoutcome.c \
  'c->basis->plan->method != RN_METHOD_ROLORA || head' 'head' \
  test_job_rounds:test_other_methods_end_with_one_lost_round

fault skipped-rounds-are-not-counted $fed/coordoutcome.c \
  '    c->skipped++;
' '' \
  test_job_rounds:test_skipped_rounds_are_counted

fault member-counts-no-skipped-round $fed/participation.c \
  '.skipped = passed - p->summed,' '.skipped = 0,' \
  test_job_rounds:test_skipped_rounds_are_counted

fault attempts-of-any-number $fed/partsession.c \
  'if (offer->attempt < 1 || offer->attempt > plan->secagg.attempts) {' 'if (offer->attempt < 1) {' \
  test_job_trouble:test_declining_member_holds_nobody

fault silent-dealers-are-not-named crypto/secagg/aggregator_blame.c \
  '            rn_sa_set_add(&silent, i);' '' test_secagg_dealers

fault whoever-is-silent-is-named crypto/secagg/msg_ack.c \
  'transcript->accused = acks.accused;' 'transcript->accused = linked;' test_secagg_dealers

fault who-lacks-no-holders-is-named crypto/secagg/aggregator_blame.c \
  'rn_sa_set_count(&left) < a->t.threshold' 'rn_sa_set_count(&left) < a->t.n' test_secagg_dealers

fault a-restart-forgets-who-was-silent crypto/secagg/aggregator_stages.c \
  'rn_sa_set_write(record, &a->silent);' '' test_secagg_dealers

fault the-silent-are-offered-the-next-round $fed/coordepoch.c \
  'c->peers[i].out_until >= c->round' 'c->peers[i].out_until > c->round' \
  test_job_trouble:test_silent_dealer_is_left_out

fault silences-are-not-written $fed/coordrecord.c \
  'rn_sa_set_write(rn_job_batch_write(rn_effects_commit(c->out), &key), silent);' \
  'rn_sa_set_write(rn_job_batch_write(rn_effects_commit(c->out), &key), &c->blamed);' \
  test_job_trouble:test_silent_dealer_is_left_out

fault each-silence-costs-one-round $fed/coordrecord.c \
  'UINT32_C(1) << (peer->silences < 30 ? peer->silences : 30)' 'UINT32_C(1)' \
  test_job_trouble:test_silent_dealer_is_left_out

fault a-silence-counts-again-after-a-restart $fed/coordsession.c \
  'if (session != &c->session || counted ||' 'if (session != &c->session || (counted && false) ||' \
  test_job_trouble:test_silence_is_counted_once

fault the-silent-are-never-needed $fed/coordination.c \
  '        c->takes_silent = true;
' '' test_job_trouble:test_silent_dealer_is_needed

fault a-right-share-is-evidence crypto/secagg/msg_blame.c \
  'RN_ENSURE(!rn_feldman_matches(&expected, &revealed[dealer].share), err' \
  'RN_ENSURE(!rn_feldman_matches(&expected, &revealed[dealer].share) || true, err' \
  test_secagg_revealproof

fault evidence-without-end crypto/secagg/aggregator_blame.c \
  'given < RN_SA_REVEAL_EVIDENCE_MAX' 'given < RN_SA_MEMBERS_MAX' test_secagg_revealproof

fault evidence-with-a-tail crypto/secagg/evidence.c \
  'rn_reader_done(&blame) && rn_reader_done(&session)' 'rn_reader_done(&session)' \
  test_secagg_revealproof

fault liars-of-a-lost-session-are-not-shown crypto/secagg/aggregator_stages.c \
  'if (a->stage == RN_SA_STAGE_UNMASK) { /* else' 'if (false) { /* else' test_secagg_revealproof

fault a-sum-that-moves-nothing-ends-the-row $fed/coordinationstate.h \
  'if (summed && rn_coord_moved(c, result)) {' 'if (summed) {' \
  test_job_rounds:test_sums_that_change_nothing

fault a-restart-forgets-that-nothing-moved $fed/coordresume.c \
  '    rn_coord_row_add(c, &results->last);
' '    if (results->last.outcome == RN_OK) {
        c->row = (struct rn_coord_row){0};
    } else {
        rn_coord_row_add(c, &results->last);
    }
' test_job_rounds:test_sums_that_change_nothing

fault rounds-skipped-unspent-are-spent $fed/coordinationstate.h \
  'summed || result->spent ? result->active : 0' 'result->active' \
  test_job_rounds:test_sums_that_change_nothing

fault what-a-still-sum-spent-is-offered $fed/coordinationstate.h \
  'summed || result->spent ? result->active : 0' 'result->spent ? result->active : 0' \
  test_job_rounds:test_sums_that_change_nothing

fault another-plan-is-another-update crypto/secagg/spent.c \
  'RN_ENSURE(entry == NULL, err, RN_E_ROUND_SPENT,' \
  'RN_ENSURE(entry == NULL || find_plan(spent, context->plan_hash) == NULL, err, RN_E_ROUND_SPENT,' \
  test_secagg_revoked

fault spent-member-does-not-follow $fed/partsession.c \
  'config.follows = rn_part_is_late(p, (uint32_t)offer->round, offer->attempt);' '' \
  test_job_catchup:test_abort_certificate_comes_with_the_sum

# ---- Members that were away

fault places-are-taken-from-their-users $fed/catchup.c \
  'if (rn_sa_set_empty(&place->users) && (best' 'if ((best' \
  test_job_catchup:test_five_behind*

fault idle-members-keep-their-places $fed/catchup.c \
  'c->clock_ms - last >= RN_COORD_IDLE_MS' 'false' \
  test_job_catchup:test_idle_members_lose_their_places

fault help-without-end $fed/catchup.c \
  'if (peer->wants_help && !soon && peer->connection != 0) {' \
  'if (peer->wants_help && (!soon || true) && peer->connection != 0) {' \
  test_job_catchup:test_help_is_given_once_a_second

fault nobody-asks-for-what-is-missed $fed/partsession.c \
  '        ask_for_missed(p, offer);
' '' \
  test_job_catchup:test_lost_state_in_the_session_under_way

fault waiting-members-are-forgotten $fed/catchup.c \
  'if (turn == TURN_LATER) {' \
  'if (turn == TURN_LATER && false) {' \
  test_job_catchup:test_five_behind_in_linger

fault abort-certificates-are-not-sent-again $fed/catchup.c \
  'resend_aborts(c, index);' '' \
  test_job_catchup:test_abort_certificate*

fault end-leaves-members-behind $fed/coordination.c \
  'rn_coord_somebody_behind(c) ? LINGER_MS' 'false ? LINGER_MS' \
  test_job_catchup:test_five_behind_in_linger

fault end-does-not-wait-a-moment $fed/catchup.c \
  'peer->connection != 0 || c->clock_ms - peer->since_ms < RN_COORD_ABSENT_MS;' 'peer->connection != 0;' \
  test_job_catchup:test_end_waits_for_who_was_here_a_moment_ago

fault stopped-end-says-the-job-is-over $fed/coordination.c \
  '(c->drains == 0 || !rn_coord_somebody_behind(c))' 'true' \
  test_job_catchup:test_signal_while_members_are_behind

fault lost-state-is-not-seen $fed/catchup.c \
  '    peer->stranded = true;
' '' \
  test_job_catchup:test_lost_state_is_stranded

fault stranded-member-stays $fed/partlink.c \
  '} else if (reason.code == RN_E_ROUND_STALE) {' '} else if (reason.code == RN_E_ROUND_SPENT) {' \
  test_job_catchup:test_lost_state_is_stranded

fault lost-state-cannot-follow crypto/secagg/aggregator.c \
  'if (a->stage == RN_SA_STAGE_SUM || a->stage == RN_SA_STAGE_FINISHED ||' 'if (' \
  test_job_catchup:test_lost_state*

fault survivors-pass-by-who-was-away crypto/secagg/aggregator.c \
  '        {RN_SA_STAGE_VOTE, RN_SA_SURVIVORS, RN_SA_VOTE},
' '' test_job_catchup:test_lost_vote_and_away_for_the_certificate

fault certificates-pass-by-who-was-away crypto/secagg/aggregator.c \
  '        {RN_SA_STAGE_UNMASK, RN_SA_CERTIFICATE, RN_SA_REVEAL},
' '' test_job_catchup:test_lost_vote_and_away_for_the_certificate

fault lost-state-cannot-follow-its-own-done crypto/secagg/member_steps.c \
  'rn_sa_set_has(&m->t.survivors, m->config.self) && !lost;' 'rn_sa_set_has(&m->t.survivors, m->config.self) && (!lost || true);' \
  test_job_catchup:test_lost_state*

fault lost-state-joins-a-second-time $fed/coordpeers.c \
  '(session->reached == RN_SA_STAGE_SUM ||' '(false ||' \
  test_job_catchup:test_lost_state_in_the_session_under_way

# ---- Pruning

fault vectors-are-never-pruned $fed/coordoutcome.c \
  '    rn_coord_prune(c);
' '' \
  test_job_rounds:test_vectors_go_when_all_have_receipts

fault vectors-go-one-round-early $fed/coordrecord.c \
  'rn_job_batch_prune(rn_effects_commit(c->out), RN_RECORD_AGGREGATOR, from);' \
  'rn_job_batch_prune(rn_effects_commit(c->out), RN_RECORD_AGGREGATOR, from + 1);' \
  test_job_rounds:test_vectors*

fault vectors-go-without-receipts $fed/coordrecord.c \
  'if (!peer->stranded && missed != NULL && missed->round < least) {' 'if (missed == NULL) {' \
  test_job_rounds:test_vectors*

fault unseen-members-lack-nothing $fed/coordrecord.c \
  'peer->known ? peer->next_round : 1' 'peer->known ? peer->next_round : c->round' \
  test_job_rounds:test_vectors_stay_for_members_not_seen_since_a_restart

fault stranded-members-keep-vectors $fed/coordrecord.c \
  'if (!peer->stranded && missed' 'if (missed' \
  test_job_catchup:test_lost_state_is_stranded

fault unpublished-adapters-go $fed/coordrecord.c \
  'result->round < c->unpublished_from ? result->round : c->unpublished_from' 'result->round' \
  test_job_restart:test_publications_are_made_again

fault vectors-have-no-limit $fed/coordrecord.c \
  'if (bytes > limit && i + 1 < c->round_count) {' 'if (false && limit > 0) {' \
  test_job_rounds:test_vectors_have_a_limit

fault newest-sum-goes-over-the-limit $fed/coordrecord.c \
  'if (bytes > limit && i + 1 < c->round_count) {
            return c->rounds[i + 1].round;' \
  'if (bytes > limit) {
            return c->rounds[i].round + 1;' \
  test_job_rounds:test_vectors_have_a_limit

fault member-keeps-old-sessions $fed/partround.c \
  'if (result->round > KEEP_ROUNDS) {' 'if (result->round > 100 * KEEP_ROUNDS) {' \
  test_job_rounds:test_old_adapters_and_sessions_go

# ---- The end, signals, publications

fault terminal-end-is-not-written $fed/coordoutcome.c \
  'declined);
        rn_coord_write_end(c, c->result, &c->err);' 'declined);' \
  test_job_restart:test_terminal_end_is_remembered

fault a-still-sum-counts-twice-over-a-restart $fed/coordresume.c \
  '        c->row = results->before;
' '' test_job_rounds:test_sums_that_change_nothing

fault end-after-a-still-sum-is-not-written $fed/coordoutcome.c \
  'to go on with");
        rn_coord_write_end(c, c->result, &c->err);' 'to go on with");' \
  test_job_rounds:test_sums_that_change_nothing

fault terminal-end-is-not-read $fed/coordresume.c \
  'RN_TRY(read_end(c, err));' '(void)read_end;' \
  test_job_restart:test_terminal_end_is_remembered

fault operators-end-is-not-recorded $fed/coordination.c \
  'rn_coord_write_end(c, c->result, &c->err);' '' \
  test_job_trouble:test_operators_end_survives_a_crash

fault end-after-a-restart-waits-for-one $fed/coordination.c \
  'c->first_session && rn_coord_present(c) < c->peer_count;' 'c->first_session && rn_coord_present(c) == 0;' \
  test_job_restart:test_restarted_end_waits_for_members

fault drained-coordinator-cuts-the-session $fed/coordination.c \
  'if (count > 1 || !busy) {' 'if (count > 0 || !busy) {' \
  test_job_restart:test_draining_coordinator_finishes_the_session

fault drained-coordinator-goes-on $fed/coordination.c \
  '    if (c->drains > 0) {
        end(c, rn_ok(), NULL);
    } else if' '    if' \
  test_job_restart:test_draining_coordinator_finishes_the_session

fault drain-has-no-limit $fed/coordination.c \
  'if (c->drains > 0 && c->clock_ms - c->drain_ms >= DRAIN_MS) {' 'if (c->drains > 100) {' \
  test_job_restart:test_drain_has_a_limit

fault every-end-is-the-jobs $fed/coordination.c \
  '.job_done = over}};' '.job_done = true}};' \
  test_job_restart:test_draining_coordinator_finishes_the_session

fault lonely-member-waits $fed/participation.c \
  'return p->ending || (p->greeted && session->machine' 'return p->ending || (session->machine' \
  test_job_restart:test_first_signal_ends_a_lonely_member

fault signalled-member-leaves-the-others $fed/participation.c \
  '(!is_busy(p) || now - p->drain_since_ms >= DRAIN_MS)' 'true' \
  test_job_restart:test_signalled_member_finishes_its_part

fault finished-member-waits $fed/participation.c \
  'now - p->alone_since_ms >= FINISHED_ALONE_MS' 'false' \
  test_job_restart:test_finished_member_ends_alone

fault untrained-is-published $fed/participation.c \
  'const bool reached = p->next_round > 1;' 'const bool reached = true;' \
  test_job_rounds:test_nothing_untrained_is_published

fault untrained-is-published-here $fed/coordination.c \
  'if (c->round_count > 0 && !c->blind) {
        publish_last(c);' \
  'if (true) {
        if (c->round_count > 0) publish_last(c); else rn_coord_publish(c, c->model, 0, true);' \
  test_job_rounds:test_nothing_untrained_is_published

fault older-adapter-is-published $fed/participation.c \
  'const bool behind = rn_part_is_behind(p);' 'const bool behind = false;' \
  test_job_trouble:test_member_declines_later

fault publication-is-not-noted $fed/coordination.c \
  'rn_coord_write_metrics(c, published->round, &metrics);' '(void)metrics;' \
  test_job_rounds:test_each_adapter_is_published_once

fault publications-without-bound $fed/coordination.c \
  'c->publishing < RN_COORD_PUBLISHING_MAX' 'true' \
  test_job_rounds:test_slow_publications_hold_the_next_session

fault start-is-not-published-again $fed/coordresume.c \
  'if (*out_published < 0 && !c->blind) {' 'if (*out_published < -1) {' \
  test_job_restart:test_publications_are_made_again

fault older-coordinator-goes-on $fed/coordination.c \
  'if (ahead <= c->basis->plan->secagg.colluding ||' 'if (ahead <= 1000 ||' \
  test_job_restart:test_coordinator_that_lost_its_state

fault one-liar-ends-the-job $fed/coordination.c \
  'if (ahead <= c->basis->plan->secagg.colluding ||' 'if (ahead < c->basis->plan->secagg.colluding ||' \
  test_job_restart:test_liars_about_rounds

fault members-with-the-newest-sum-are-liars $fed/coordpeers.c \
  'return next_round > c->round + UINT64_C(1) * summed;' 'return next_round > c->round + UINT64_C(0) * summed;' \
  test_job_restart:test_coordinator_crashes_at_every_effect

# ---- Greeting, clock, lines

fault any-plan-is-greeted $fed/coordpeers.c \
  'memcmp(hello->plan_hash.bytes, c->basis->plan->hash, RN_HASH_BYTES) == 0' 'true' \
  test_job_trouble:test_greetings_that_are_refused

fault second-process-takes-over $fed/coordpeers.c \
  'RN_ENSURE(peer->connection == 0 ||' 'RN_ENSURE(true || peer->connection == 0 ||' \
  test_job_trouble:test_greetings_that_are_refused

fault suspended-time-counts $fed/now.h \
  'passed < RN_CLOCK_STEP_MS_MAX ? passed : RN_CLOCK_STEP_MS_MAX' 'passed' \
  test_job_trouble:test_suspended_node_loses_no_round

fault one-line-too-many $fed/jobevent.c \
  'if (seen->lines >= most) {' 'if (seen->lines > most) {' \
  test_job_trouble:test_event_lines_are_limited

fault lines-are-dropped-unsaid $fed/jobevent.c \
  '        seen->dropped++;
' '' \
  test_job_trouble:test_event_lines_are_limited

fault end-is-signed-over-any-round $fed/jobrecord.c \
  'rn_buffer_u32(out, round);
    rn_buffer_u32(out, end->code);' \
  'rn_buffer_u32(out, 0);
    rn_buffer_u32(out, end->code + 0 * round);' \
  test_job_trouble:test_operator_ends_a_job_that_never_began

# ---- Measuring

fault measured-twice services/round/roundmeasure.c \
  'plan->evaluation.federated && round == start_round + 1' 'plan->evaluation.federated' \
  test_job_measure:test_a_skipped_round_leaves_a_gap

fault nothing-is-measured services/round/roundvector.c \
  'write_start(layout, &report->start, encoder.head);' '' \
  test_job_measure:test_every_adapter_is_measured

fault best-is-a-round-late services/round/roundmeasure.c \
  'judgement->best_round = round - 1;' 'judgement->best_round = round;' \
  test_job_measure:test_best_is_kept

fault best-is-the-last-again services/round/roundmeasure.c \
  'measure->metric > judgement->best_metric + stop->min_delta' 'true' \
  test_job_measure:test_best_is_kept

fault best-is-forgotten-at-restart $fed/partround.c \
  'return rn_job_course_resume_best(&p->course, plan_of(p), reader, err);' 'return rn_ok();' \
  test_job_measure:test_best_survives_restarts

fault coordinators-best-is-forgotten-at-restart $fed/coordresume.c \
  'RN_TRY(rn_job_course_resume_best(&c->course, c->basis->plan, &c->basis->reader, err));' '' \
  test_job_measure:test_best_survives_restarts

fault measures-are-forgotten-at-restart $fed/coordresume.c \
  'rn_job_course_resume(&c->course, c->basis->plan, &results->last);' '' \
  test_job_measure:test_early_stop_ends_the_job

fault nobody-stops-early $fed/jobsum.c \
  ' || course->judgement.stopped;' ';' \
  test_job_measure:test_early_stop_ends_the_job

fault patience-is-one-too-long services/round/roundmeasure.c \
  'judgement->since >= stop->patience' 'judgement->since > stop->patience' \
  test_job_measure:test_early_stop_ends_the_job

fault lost-measure-spoils-the-job $fed/coordoutcome.c \
  'session->layout.delta_count > 0 &&' '' \
  test_job_measure:test_the_measuring_round_may_be_lost

fault nothing-left-is-measured-all-the-same $fed/jobsum.c \
  'return idle || ' 'return ' \
  test_job_measure:test_nothing_is_measured_after_a_lost_last_round

fault start-is-the-best-adapter $fed/jobsum.c \
  'better && judgement.best_round > 0 &&' 'better &&' \
  test_job_measure:test_the_start_is_no_best_adapter

fault best-has-the-head-of-its-training services/round/roundmodel.c \
  'if (report->start.valid && model->local_head != NULL) {' 'if (false) {' \
  test_job_measure:test_every_adapter_is_measured

fault who-waits-no-longer-is-helped-late $fed/coordpeers.c \
  'peer->helped = peer->helped && !peer->waits;' '' \
  test_job_signing:test_welcomed_again_before_the_session

# ---- Drawing the share graph

fault set-is-not-written $fed/coordepoch.c \
  'rn_job_epoch_keep(epoch->job, RN_RECORD_EPOCH_SET, c->out);' '' \
  test_job_epoch:test_drawn_before_the_first_offer

fault reveals-are-not-written $fed/coordepoch.c \
  'rn_job_epoch_keep(epoch->job, RN_RECORD_EPOCH_REVEALS, c->out);' '' \
  test_job_epoch:test_drawn_before_the_first_offer

fault member-reveals-and-writes-nothing $fed/partepoch.c \
  'if (epoch->revealed.attempt != before.attempt) {' 'if (epoch->revealed.attempt == 99) {' \
  test_job_epoch:test_drawn_before_the_first_offer

fault graph-of-a-member-is-not-written $fed/partepoch.c \
  'rn_job_epoch_keep(job, RN_RECORD_EPOCH_REVEALS, p->out);' '' \
  test_job_epoch:test_drawn_before_the_first_offer

fault member-forgets-what-it-revealed $fed/partepoch.c \
  '    recall(p);' '    (void)recall;' \
  test_job_epochfaces:test_two_sets_of_one_attempt

fault member-answers-after-the-seed $fed/partepoch.c \
  'if (rn_is_ok(result) && epoch->job->drawn) {' 'if (rn_is_ok(result) && epoch->job->drawn && message.kind == RN_EPOCH_REVEALS) {' \
  test_job_epochfaces:test_nothing_after_the_seed

fault member-draws-before-it-may $fed/partepoch.c \
  'if (epoch == NULL || !p->signers.satisfied) {' 'if (epoch == NULL) {' \
  test_job_epoch:test_not_before_the_plan_is_signed

fault member-does-not-ask $fed/partepoch.c \
  'say(p, RN_EPOCH_ASK, 0, (struct rn_view){0});' '' \
  test_job_epoch:test_not_before_the_plan_is_signed

fault offer-before-the-graph $fed/partsession.c \
  'if (!rn_part_epoch_is_drawn(p)) {' 'if (p == NULL) {' \
  test_job_epochfaces:test_reveals_sent_to_half

fault one-outside-takes-part $fed/partsession.c \
  '!rn_part_epoch_takes_part(p) || ' '' \
  test_job_epoch:test_outside_takes_no_part_when_offered

fault seed-is-in-no-session $fed/coordsession.c \
  'rn_round_session_graph(rn_job_epoch_seed(c->epoch == NULL ? NULL : c->epoch->job),
                           &out->context);' '' \
  test_job_epoch:test_drawn_before_the_first_offer

fault those-outside-are-waited-for $fed/coordepoch.c \
  'if (c->epoch == NULL || !c->epoch->job->drawn) {' 'if (c->peer_count > 0) {' \
  test_job_epoch:test_one_never_comes

fault next-attempt-with-who-withheld $fed/coordepoch.c \
  'const struct rn_sa_set expected = rn_sa_set_minus(&all, &epoch->left_out);' \
  'const struct rn_sa_set expected = all;' \
  test_job_epoch:test_one_more_each_attempt

fault wrong-reveal-takes-the-slow-with-it $fed/coordepoch.c \
  'void_attempt(c, late ? &missing : &epoch->spoilt);' 'void_attempt(c, &missing);' \
  test_job_epoch:test_slow_reveals_beside_a_changed_one

fault wrong-reveal-is-waited-out $fed/coordepoch.c \
  'if (message->kind == RN_EPOCH_REVEAL && result.code == RN_E_PEER_PROTOCOL) {' 'if (c == NULL) {' \
  test_job_epoch:test_reveal_changed

fault strangers-bytes-void-an-attempt $fed/coordepoch.c \
  'if (message->kind == RN_EPOCH_REVEAL && result.code == RN_E_PEER_PROTOCOL) {' \
  'if (message->kind == RN_EPOCH_REVEAL) {' \
  test_job_epochfaces:test_entries_that_do_not_count

fault entry-in-anothers-name $fed/coordepoch.c \
  'RN_ENSURE(place == index, err,' 'RN_ENSURE(place < RN_SA_MEMBERS_MAX, err,' \
  test_job_epochfaces:test_entry_of_another

fault left-out-is-forgotten $fed/coordepoch.c \
  'epoch->left_out = left_out;' '' \
  test_job_epochfaces:test_left_out_survives_a_restart

fault seventeenth-attempt $fed/coordepoch.c \
  'return epoch->attempt >= RN_SA_EPOCH_ATTEMPTS_MAX ||' 'return epoch->attempt > RN_SA_EPOCH_ATTEMPTS_MAX ||' \
  test_job_epoch:test_seventeenth_attempt

fault set-below-the-floor $fed/coordepoch.c \
  'if (all || (late && rn_sa_set_count(&epoch->arrived) >= least(c))) {' 'if (all || late) {' \
  test_job_epoch:test_commitments_wait_below_the_floor

fault end-without-a-graph-is-not-written $fed/coordepoch.c \
  '    rn_coord_write_end(c, c->result, &c->err);' '' \
  test_job_epoch:test_too_many_withhold

fault lost-state-draws-again $fed/coordepoch.c \
  'c->peers[index].ahead |= !c->epoch->job->drawn;' '' \
  test_job_epochfaces:test_coordinator_loses_its_state

fault questions-without-end $fed/coordepoch.c \
  'rn_budget_take(&peer->epoch, &rate, c->clock_ms)' 'rate.burst > 0' \
  test_job_epochfaces:test_questions_without_end

# ---- Secure aggregation: floors of the roster

sa=crypto/secagg

fault sa-session-below-the-floor $sa/msg_ready.c \
  'rn_sa_floor(&transcript->params, 0)' '3' test_secagg_floors

fault sa-uploads-below-the-floor $sa/msg_ack.c \
  'rn_sa_floor(&transcript->params, 0)' '3' test_secagg_floors

fault sa-survivors-below-the-floor $sa/msg_vote.c \
  'rn_sa_floor(&transcript->params, 0)' '3' test_secagg_floors

fault sa-quorum-of-those-who-came $sa/msg_ready.c \
  'transcript->n = count;' \
  'transcript->n = count; transcript->quorum = (count + transcript->params.colluding) / 2 + 1;' test_secagg_floors

fault sa-quorum-one-too-low $sa/params.c \
  '(params->members + params->colluding) / 2 + 1' '(params->members + params->colluding) / 2' \
  test_secagg_floors

fault sa-own-floor-is-ignored $sa/params.c \
  'floor < local_minimum ? local_minimum : floor' 'floor' test_secagg_floors

fault sa-own-threshold-is-ignored $sa/member.c \
  'threshold >= config->threshold_min' 'true' test_secagg_floors

# ---- Secure aggregation: the ring

fault sa-masks-with-strangers $sa/member_steps.c \
  'rn_sa_set_both(&t->linked, &secrets->circle)' 't->linked' test_secagg_rings

fault sa-takes-off-masks-with-strangers $sa/openmasks.c \
  'rn_sa_set_both(&t->survivors, &circle)' 't->survivors' test_secagg_rings

fault sa-holders-to-the-quorum $sa/msg_ack.c \
  'holders >= transcript->threshold' 'holders >= transcript->quorum' test_secagg_rings

fault sa-strangers-complain $sa/msg_ack.c \
  'rn_sa_set_both(&circle, &acks->senders)' 'acks->senders' test_secagg_rings

fault sa-deals-to-too-few $sa/msg_ready.c \
  'if (rn_sa_set_count(&holders) >= transcript->threshold) {' 'if (true) {' test_secagg_rings

fault sa-seen-is-everybody $sa/msg_ack.c \
  'return rn_sa_set_both(dealers, &circle);' 'return *dealers;' test_secagg_rings

fault sa-reveals-of-strangers $sa/msg_reveal.c \
  'return rn_sa_set_both(&transcript->linked, &circle);' 'return transcript->linked;' test_secagg_rings

fault sa-session-without-its-seed $sa/params.c \
  'rn_write_bytes(&w, context->graph_seed, RN_HASH_BYTES);' 'rn_write_bytes(&w, none, RN_HASH_BYTES);' \
  test_secagg_rings

fault sa-ring-without-a-seed $sa/params.c \
  'RN_ENSURE(given || sizes.complete' 'RN_ENSURE(true' test_secagg_rings

fault sa-seed-without-a-ring $sa/params.c \
  'RN_ENSURE(!given || !sizes.complete' 'RN_ENSURE(true' test_secagg_rings

fault sa-share-sets-of-strangers $sa/msg_shares.c \
  'rn_sa_set_both(dealers, &circle)' '*dealers' test_secagg_rings

fault sa-one-set-of-weights $sa/aggregator_unmask.c \
  '!c->has_weights || memcmp(' '!c->has_weights && memcmp(' test_secagg_rings

fault sa-parts-are-certified $sa/msg_vote.c \
  'rn_sa_set_both(&transcript->peers[i].holders, set)' 'transcript->peers[i].holders' test_secagg_rings

fault sa-share-sets-beyond-a-message $sa/params.c \
  'RN_SA_ENVELOPE_BYTES + 4 + circle * part <= RN_SA_MESSAGE_MAX' 'circle + part > 0' test_secagg_spent

# ---- Secure aggregation: what a broadcast may say (the cases of crypto/secagg/PROTOCOL.md)

fault sa-readys-are-not-looked-at $sa/msg_ready.c \
  'RN_TRY(
            rn_sa_transcript_nested(transcript, &message, RN_SA_READY, transcript->session, err));' '' \
  test_secagg_hostile

fault sa-acks-are-not-looked-at $sa/msg_ack.c \
  'RN_TRY(rn_sa_transcript_nested(transcript, &message, RN_SA_ACK, transcript->t0, err));' '' \
  test_secagg_hostile

fault sa-dones-are-not-looked-at $sa/msg_vote.c \
  'RN_TRY(rn_sa_transcript_nested(transcript, &message, RN_SA_DONE, transcript->t1, err));' '' \
  test_secagg_hostile

fault sa-signature-of-nested-messages $sa/transcript.c \
  'return rn_sa_message_verify(message, key, err);' 'return rn_ok();' test_secagg_ready

fault sa-nested-of-another-session $sa/transcript.c \
  'memcmp(message->session, transcript->session, RN_HASH_BYTES) == 0' 'true' test_secagg_ready

fault sa-nested-of-another-round $sa/transcript.c \
  'message->round == transcript->context.round' 'true' test_secagg_ready

fault sa-nested-to-somebody-else $sa/transcript.c \
  'message->recipient == RN_SA_COORDINATOR &&' '' test_secagg_ready

fault sa-members-are-listed-twice $sa/msg_ready.c \
  'RN_ENSURE(message.sender >= least, err, RN_E_PEER_PROTOCOL,' \
  'RN_ENSURE(true, err, RN_E_PEER_PROTOCOL,' test_secagg_ready

fault sa-two-members-share-a-key $sa/msg_ready.c \
  'RN_TRY(check_distinct(peers, &joined, message.sender, err));' '' test_secagg_ready

fault sa-s-of-one-is-b-of-another $sa/msg_ready.c \
  'rn_point_equal(&peers[i].self, &peers[last].mask);' 'false;' test_secagg_ready

fault sa-own-channel-key-is-replaced $sa/member_steps.c \
  'memcmp(own->channel.bytes, channel.bytes, sizeof channel.bytes) == 0' 'true' test_secagg_ready

fault sa-own-s-is-replaced $sa/member_steps.c \
  'rn_point_matches(&own->mask, &m->vault->session.mask_secret)' 'true' test_secagg_ready

fault sa-own-b-is-replaced $sa/member_steps.c \
  'rn_point_matches(&own->self, &m->vault->session.self_seed)' 'true' test_secagg_ready

fault sa-t0-is-the-coordinators-word $sa/member_steps.c \
  'if (memcmp(message->transcript, t->t0, RN_HASH_BYTES) != 0) {' 'if (false) {' test_secagg_ready

fault sa-offer-of-other-numbers $sa/msg_offer.c \
  'same(own.params, theirs.params)' 'true' test_secagg_offer

fault sa-offer-of-another-attempt $sa/msg_offer.c \
  'own.attempt == theirs.attempt' 'true' test_secagg_offer

fault sa-offer-says-another-round-than-its-frame $sa/msg_offer.c \
  ' && message->round == own.round' '' test_secagg_offer

fault sa-offer-of-another-nonce $sa/msg_offer.c \
  'same(session, message->session) && same(session, message->transcript)' \
  'same(session, message->session)' test_secagg_offer

fault sa-least-honest-is-nobodys-agreement $sa/params.c \
  'rn_write_u32(&w, params->honest);' 'rn_write_u32(&w, 2);' test_secagg_offer

fault sa-largest-value-is-nobodys-agreement $sa/params.c \
  'rn_write_u64(&w, params->value_max);' 'rn_write_u64(&w, 0);' test_secagg_offer

fault sa-scales-are-nobodys-agreement $sa/params.c \
  'rn_write_bytes(&w, context->scales_hash, RN_HASH_BYTES);' '' test_secagg_offer

fault sa-masks-do-not-know-the-session crypto/maskkey.c \
  'rn_view_of(context->session, RN_HASH_BYTES)' 'rn_view_of(context->transcript, RN_HASH_BYTES)' \
  test_secagg_offer

fault sa-one-vote-too-few $sa/msg_vote.c \
  'count >= claim->quorum' 'count + 1 >= claim->quorum' test_secagg_certificates

fault sa-voters-are-counted-twice $sa/msg_vote.c \
  'message.sender >= least && message.sender < claim->roster->count' \
  'message.sender < claim->roster->count' test_secagg_certificates

fault sa-strangers-vote $sa/msg_vote.c \
  'rn_sa_set_has(list->allowed, message.sender)' 'true' test_secagg_certificates

fault sa-votes-are-not-signed $sa/msg_vote.c \
  'RN_TRY(rn_sa_message_verify(&message, &claim->roster->members[message.sender].key, err));' '' \
  test_secagg_certificates

fault sa-votes-of-another-cohort $sa/msg_vote.c \
  'memcmp(message.transcript, claim->t0, RN_HASH_BYTES) == 0' 'true' test_secagg_certificates

fault sa-votes-of-another-round $sa/msg_vote.c \
  'message.round == claim->round &&' '' test_secagg_certificates

fault sa-abort-votes-for-survivors $sa/msg_vote.c \
  'vote == list->kind' 'true' test_secagg_certificates

fault sa-votes-for-any-survivors $sa/msg_vote.c \
  't2 != NULL && memcmp(hash, t2, RN_HASH_BYTES) == 0' 't2 != NULL' test_secagg_certificates

fault sa-abort-votes-name-survivors $sa/msg_vote.c \
  'vote == RN_SA_VOTE_ABORT && memcmp(hash, none, RN_HASH_BYTES) == 0' 'vote == RN_SA_VOTE_ABORT' \
  test_secagg_certificates

fault sa-two-certificates-of-one-session $sa/params.c \
  '(params->members + params->colluding) / 2 + 1' '(params->members + params->colluding + 1) / 2' \
  test_secagg_votes

fault sa-a-vote-is-forgotten $sa/member_resume.c \
  'm->vote = (enum rn_sa_vote)vote;' '' test_secagg_votes

fault sa-who-voted-is-erased-by-a-call $sa/member.c \
  '{RN_SA_M_VOTED, RN_SA_ABORT_CALL, rn_sa_member_on_late_abort, RN_SA_M_VOTED}' \
  '{RN_SA_M_VOTED, RN_SA_ABORT_CALL, rn_sa_member_on_abort_call, RN_SA_M_ABORTING}' test_secagg_votes

fault sa-who-voted-for-an-abort-keeps-its-secrets $sa/member_steps.c \
  'rn_sa_member_erase(m);
    if (may_vote) {' 'if (may_vote) {' test_secagg_votes

fault sa-survivors-are-listed-twice $sa/msg_vote.c \
  'RN_ENSURE(message.sender >= least, err, RN_E_PEER_PROTOCOL,
                  "survivors:' 'RN_ENSURE(true, err, RN_E_PEER_PROTOCOL,
                  "survivors:' test_secagg_survivors

fault sa-survivors-beyond-u2 $sa/msg_vote.c \
  'rn_sa_set_within(set, &transcript->linked)' 'true' test_secagg_survivors

fault sa-one-holder-too-few $sa/msg_vote.c \
  'rn_sa_set_count(&left) >= transcript->threshold' 'rn_sa_set_count(&left) + 1 >= transcript->threshold' \
  test_secagg_survivors

fault sa-one-survivor-too-few $sa/msg_vote.c \
  'count >= floor, err, RN_E_PEER_PROTOCOL, "survivors' \
  'count + 1 >= floor, err, RN_E_PEER_PROTOCOL, "survivors' test_secagg_survivors

fault sa-another-layout-is-done $sa/msg_upload.c \
  'chunks == transcript->layout.chunks && elements == transcript->layout.elements' \
  'chunks == transcript->layout.chunks' test_secagg_survivors

fault sa-own-done-is-not-looked-at $sa/member_steps.c \
  '} else if (own &&' '} else if (false && own &&' test_secagg_survivors

fault sa-t2-is-the-coordinators-word $sa/member_steps.c \
  'if (memcmp(message->transcript, m->t.t2, RN_HASH_BYTES) != 0) {' 'if (false) {' \
  test_secagg_survivors

fault sa-the-lost-vote-and-reveal $sa/member_steps.c \
  'if (!rn_sa_set_has(&m->t.survivors, m->config.self)) {' 'if (false) {' test_secagg_outside

fault sa-the-lost-answer $sa/aggregator_unmask.c \
  'RN_ENSURE(rn_sa_set_has(&a->t.survivors, holder)' 'RN_ENSURE(true' test_secagg_outside

fault sa-holders-of-all-that-acknowledged-anything $sa/msg_ack.c \
  'if (rn_sa_set_has(&acks->valid[j], dealer)) {' 'if (true) {' test_secagg_survivors

fault sa-another-version-is-no-evidence $sa/member.c \
  'rn_sa_member_give_evidence(m, type, message->envelope, actions);' '' test_secagg_hostile

fault sa-another-version-is-evidence-again $sa/member.c \
  'm->caught[type] = true;' '' test_secagg_hostile

fault sa-share-sets-may-be-said-otherwise $sa/member.c \
  'type == RN_SA_READY_SET || type == RN_SA_SHARES_SET ||' 'type == RN_SA_READY_SET ||' \
  test_secagg_hostile

# ---- Secure aggregation: two views

fault sa-masks-of-two-views-cancel crypto/maskkey.c \
  'rn_write_bytes(&writer, context->transcript, RN_HASH_BYTES);' '' test_secagg_views

fault sa-what-others-were-shown $sa/msg_ack.c \
  'memcmp(theirs, seen, RN_HASH_BYTES) == 0' 'true' test_secagg_crossing

fault sa-acks-of-any-dealers $sa/msg_ack.c \
  'rn_sa_set_within(&valid, &shown)' 'true' test_secagg_crossing

fault sa-nested-of-another-transcript $sa/transcript.c \
  'memcmp(message->transcript, hash, RN_HASH_BYTES) == 0' 'true' test_secagg_crossing

fault sa-half-a-view-is-certified $sa/msg_vote.c \
  'count >= claim->quorum' 'count >= 3' test_secagg_crossing

fault sa-answers-to-another-t2 $sa/aggregator.c \
  'return level >= RN_SA_LEVEL_SURVIVORS ? a->t.t2 : NULL;' \
  'static const uint8_t *any; any = a->t.t2; (void)any; return NULL;' test_secagg_crossing

# ---- Secure aggregation: delivery

fault sa-repetitions-are-evidence $sa/aggregator.c \
  'first->length > 0 && rn_view_equal(rn_buffer_view(first), message->whole);' 'false;' \
  test_secagg_delivery

fault sa-late-messages-are-kept $sa/aggregator.c \
  'if (rule == NULL) { /* late:' 'if (rule == NULL) { rn_sa_aggregator_keep(a, &message); /* late:' \
  test_secagg_delivery

fault sa-late-uploads-are-taken $sa/aggregator.c \
  '{RN_SA_STAGE_VOTE, RN_SA_VOTE,' \
  '{RN_SA_STAGE_VOTE, RN_SA_CHUNK, rn_sa_aggregator_on_chunk, RN_SA_STAGE_VOTE},
    {RN_SA_STAGE_VOTE, RN_SA_VOTE,' test_secagg_delivery

fault sa-chunks-count-twice $sa/aggregator_upload.c \
  'return rn_ok();
    }
    RN_TRY(store(a, member, part->chunk, whole, err));' '}
    RN_TRY(store(a, member, part->chunk, whole, err));' test_secagg_uploads

fault sa-chunks-may-change $sa/aggregator_upload.c \
  'RN_ENSURE(memcmp(leaf, hash, RN_HASH_BYTES) == 0, err, RN_E_PEER_PROTOCOL,
                  "chunk %u: differs' 'RN_ENSURE(true, err, RN_E_PEER_PROTOCOL,
                  "chunk %u: differs' test_secagg_uploads

fault sa-the-root-is-not-compared $sa/aggregator_upload.c \
  'if (memcmp(root, signed_root, RN_HASH_BYTES) != 0) {' 'if (false) {' test_secagg_uploads

fault sa-half-uploads-stay $sa/aggregator_stages.c \
  'forget_half_uploads(a);
    rn_sa_aggregator_broadcast(a, RN_SA_SURVIVORS' 'rn_sa_aggregator_broadcast(a, RN_SA_SURVIVORS' \
  test_secagg_uploads

fault sa-everything-is-asked-for-again $sa/aggregator_steps.c \
  'if (!upload->open || !upload->held[i]) {' 'if (true) {' test_secagg_uploads

fault sa-half-an-upload-is-summed $sa/aggregator_upload.c \
  'if (done->length == 0 || upload->have != a->t.layout.chunks) {' \
  'if (done->length == 0 || upload->have + 1 < a->t.layout.chunks || !upload->open) {' test_secagg_uploads

# ---- Secure aggregation: what losses leave

fault sa-an-end-frees-the-update $sa/member_steps.c \
  'rn_sa_member_go_aborted(m, RN_SA_REASON_COORDINATOR, false, actions);
    return rn_ok();
}

/* The vote is cast' 'rn_sa_spent_close(m->config.spent, m->t.session, (struct rn_view){0}, actions);
    rn_sa_member_go_aborted(m, RN_SA_REASON_COORDINATOR, false, actions);
    return rn_ok();
}

/* The vote is cast' test_secagg_votes

fault sa-a-late-end-frees-the-update $sa/member_steps.c \
  'if (last) {
        rn_sa_member_go_aborted' 'if (last) {
        rn_sa_spent_close(m->config.spent, m->t.session, (struct rn_view){0}, actions);
        rn_sa_member_go_aborted' test_secagg_rounds

fault sa-an-uncertified-end-is-called-certified $sa/member.c \
  'action->certified = certified || !m->spent;' 'action->certified = true;' \
  test_secagg_rounds

fault sa-who-is-not-in-u2-uploads $sa/member_steps.c \
  'if (!rn_sa_set_has(&m->t.linked, m->config.self)) {' 'if (false) {' test_secagg_dealers

# ---- Secure aggregation: deadlines, places, encodings

fault sa-a-clock-may-go-back $sa/aggregator.c \
  'now_ms > a->now_ms ? now_ms : a->now_ms' 'now_ms' test_secagg_deadlines

fault sa-soft-is-one-late $sa/aggregator_stages.c \
  'waited >= timeout.soft_ms' 'waited > timeout.soft_ms' test_secagg_deadlines

fault sa-hard-is-one-early $sa/aggregator_stages.c \
  'waited >= timeout.hard_ms' 'waited + 1 >= timeout.hard_ms' test_secagg_deadlines

fault sa-acks-wait-like-uploads $sa/aggregator_stages.c \
  'return p->acks;' 'return p->upload;' test_secagg_deadlines

fault sa-nobody-closes-early $sa/aggregator_stages.c \
  'if ((all || soft) && may_close(a)) {' 'if (soft && may_close(a)) {' test_secagg_deadlines

fault sa-entries-of-other-holders $sa/msg_shares.c \
  'memcmp(hash, leaves.data + place * RN_HASH_BYTES, RN_HASH_BYTES) == 0' 'true' test_secagg_shares

fault sa-sealed-for-another-place $sa/msg_shares.c \
  'RN_ENSURE(here && whole, err' 'RN_ENSURE(whole, err' test_secagg_shares

fault sa-channels-do-not-know-the-session crypto/secagg/msg_shares.c \
  'memcpy(context.session, transcript->session, RN_HASH_BYTES);' '' test_secagg_shares

fault sa-channels-do-not-know-t0 crypto/secagg/msg_shares.c \
  'memcpy(context.transcript, transcript->t0, RN_HASH_BYTES);' '' test_secagg_shares

fault sa-dealers-are-listed-twice $sa/msg_shares.c \
  'RN_ENSURE(envelope->sender >= least' 'RN_ENSURE(true' test_secagg_shares

fault sa-shares-of-any-length $sa/msg_shares.c \
  'message->body.length == shares_bytes(transcript, message->sender)' \
  'message->body.length >= shares_bytes(transcript, message->sender)' test_secagg_shares

fault sa-points-have-two-encodings crypto/group.c \
  'return bytes[RN_POINT_BYTES - 1] >> 7 != 0;' 'return bytes == NULL;' test_secagg_encodings

fault sa-channel-keys-of-low-order $sa/msg_ready.c \
  'RN_ENSURE(rn_channel_public_valid(&out->channel), err' 'RN_ENSURE(true, err' test_secagg_encodings

fault sa-answers-of-another-kind $sa/msg_reveal.c \
  'member == i && kind == (uint32_t)due' 'member == i' test_secagg_encodings

fault sa-answers-for-another-member $sa/msg_reveal.c \
  'member == i && kind == (uint32_t)due' 'kind == (uint32_t)due' test_secagg_encodings

fault sa-padding-is-not-looked-at $sa/msg_upload.c \
  'RN_ENSURE(bits % 8 == 0 ||' 'RN_ENSURE(true ||' test_secagg_encodings

fault sa-chunks-start-anywhere $sa/msg_upload.c \
  'first < layout->elements && first % layout->chunk_elements == 0' 'first < layout->elements' \
  test_secagg_encodings

fault sa-chunks-of-any-count $sa/msg_upload.c \
  'count == rn_sa_layout_chunk_elements(layout, chunk) &&' '' test_secagg_encodings

fault sa-one-honest-member-is-enough $sa/params.c \
  'params->honest >= 2' 'params->honest >= 1' test_secagg_floors

fault sa-nobody-colludes $sa/params.c \
  'params->colluding >= 1' 'true' test_secagg_floors

fault sa-sets-have-one-word $sa/memberset.c \
  'set->word[member / 64] |=' 'set->word[0] |=' test_secagg_shapes

fault sa-the-last-chunk-is-whole $sa/params.c \
  'return left < layout->chunk_elements ? (uint32_t)left : layout->chunk_elements;' \
  'return left < 2 ? (uint32_t)left : layout->chunk_elements;' test_secagg_shapes

fault sa-uploads-take-any-memory $sa/aggregator_upload.c \
  'if (size > limit - a->spool_bytes) {' 'if (a->spool_bytes > limit) {' test_secagg_spool

fault damaged-documents-are-passed-over $fed/jobepoch.c \
  'RN_ENSURE(rn_is_ok(taken), err, RN_E_DATA,' 'RN_ENSURE(rn_is_ok(taken) || found, err, RN_E_DATA,' \
  test_job_epochrecords:test_damaged_documents

fault void-attempts-name-anybody $fed/coordepoch.c \
  'rn_sa_set_within(&left_out, &all) &&' '' test_job_epochrecords:test_damaged_void_attempts

fault void-attempts-go-down $fed/coordepoch.c \
  'key->attempt > epoch->attempt && ' '' test_job_epochrecords:test_damaged_void_attempts

fault void-attempts-beyond-the-last $fed/coordepoch.c \
  ' && key->attempt <= RN_SA_EPOCH_ATTEMPTS_MAX' '' test_job_epochrecords:test_damaged_void_attempts

fault void-attempts-of-any-length $fed/coordepoch.c \
  'RN_ENSURE(rn_reader_done(&r) && rn_sa_set' 'RN_ENSURE((r.position > 0) && rn_sa_set' \
  test_job_epochrecords:test_damaged_void_attempts

# ---- Sets of shares

fault the-lowest-places-are-served-again $fed/coordshares.c \
  'shares->turn = member + 1;' '' test_job_shares:test_who_asks_again_waits

fault all-sets-of-shares-at-once $fed/coordshares.c \
  'if (held > 0 && held + shares->largest > limit_of(c)) {' 'if (false) {' \
  test_job_shares:test_as_many_as_fit

fault one-set-of-shares-too-many $fed/coordshares.c \
  'held + shares->largest > limit_of(c)' 'held > limit_of(c)' test_job_shares:test_as_many_as_fit

fault a-set-that-left-weighs-nothing $fed/coordshares.c \
  'shares->bytes[member] = (uint32_t)message.length;' '' test_job_shares:test_as_many_as_fit

fault silent-members-hold-up-the-shares $fed/coordshares.c \
  ' ||
           c->clock_ms - session->shares.sent_ms[member] >= patience' '' \
  test_job_shares:test_silence_holds_nobody_up

fault patience-is-that-of-one-turn $fed/coordshares.c \
  '(2 * turns)' '2' test_job_shares:test_silence_holds_nobody_up

fault a-set-of-shares-larger-than-the-limit $fed/coordshares.c \
  'if (held > 0 && held' 'if (held' test_job_shares:test_as_many_as_fit

# ---- Secure aggregation: dealers, shares, blame

fault sa-share-of-s-is-not-checked $sa/msg_shares.c \
  'RN_TRY(rn_sa_share_check(transcript, RN_SA_KIND_S, dealer, self, rn_view_of(commitments, half),
                             &out->share_s, err));' '' test_secagg_dealers

fault sa-share-of-b-is-not-checked $sa/msg_shares.c \
  'RN_TRY(rn_sa_share_check(transcript, RN_SA_KIND_B, dealer, self,
                             rn_view_of(commitments + half, half), &out->share_b, err));' '' \
  test_secagg_dealers

fault sa-right-shares-are-judged-too $sa/msg_shares.c \
  'if (rn_is_ok(quick) && rn_feldman_matches(&expected, share)) {' 'if (false) {' test_secagg_wide

fault sa-a-share-beside-the-polynomial-is-taken $sa/msg_shares.c \
  'if (rn_is_ok(quick) && rn_feldman_matches(&expected, share)) {' 'if (true) {' test_secagg_dealers

fault sa-commitments-are-not-signed $sa/msg_shares.c \
  'rn_view_of(hashes->coefficients[1], RN_HASH_BYTES)' 'rn_view_of(hashes->coefficients[0], RN_HASH_BYTES)' \
  test_secagg_hostile

fault sa-entries-are-not-signed $sa/msg_shares.c \
  'rn_view_of(hashes->entries, RN_HASH_BYTES)' 'rn_view_of(hashes->coefficients[0], RN_HASH_BYTES)' \
  test_secagg_hostile

fault sa-commitments-that-are-no-points $sa/msg_shares.c \
  'return rn_feldman_check(rn_view_of(message->body.data, 2 * rn_sa_coefficient_bytes(transcript)),
                            err);' 'return rn_ok();' test_secagg_dealers

fault sa-one-complaint-costs-the-place $sa/msg_ack.c \
  'complaints <= transcript->params.colluding' 'complaints < transcript->params.colluding' \
  test_secagg_dealers

fault sa-complaints-cost-nothing $sa/msg_ack.c \
  'complaints <= transcript->params.colluding' 'complaints <= transcript->n' test_secagg_dealers

fault sa-false-shares-stay $sa/aggregator_unmask.c \
  'rn_sa_set_remove(&a->answers[holder]->members, member); /* it acknowledged another share */' '' test_secagg_answers

fault sa-liars-are-not-named $sa/aggregator_unmask.c \
  'rn_sa_set_add(&a->blamed, holder);' '' test_secagg_answers

fault sa-first-shares-alone-are-tried $sa/aggregator_unmask.c \
  'while (a->available[member] >= a->t.threshold) {' \
  'while (a->available[member] >= a->t.threshold && !rn_sa_set_has(&a->blamed, 0)) {' \
  test_secagg_answers

fault sa-opened-secrets-are-rebuilt $sa/aggregator_unmask.c \
  'rn_sa_set_has(&a->opened, i) || ' '' test_secagg_answers

fault sa-every-tick-tries-again $sa/aggregator_unmask.c \
  ' || rn_sa_set_equal(got, &a->tried)' '' test_secagg_answers

fault sa-blame-without-a-false-share $sa/msg_blame.c \
  '!rn_feldman_matches(&expected, &revealed[dealer].share)' 'true' test_secagg_blame

fault sa-blame-with-other-commitments $sa/msg_blame.c \
  'memcmp(root, shares.body_hash, RN_HASH_BYTES) == 0' 'true' test_secagg_blame

fault sa-blame-is-repeated $sa/msg_result.c \
  'holder >= least' 'true' test_secagg_blame

fault sa-blame-is-not-kept $sa/member_result.c \
  'if (!rn_sa_set_empty(&m->t.blamed)) {' 'if (false) {' test_secagg_answers

fault sa-blame-is-not-read-back $sa/spent.c \
  'return load_blamed(spent, &record, err);' 'return rn_ok();' test_secagg_answers

fault sa-blamed-members-join $sa/aggregator_steps.c \
  '!rn_sa_set_has(&a->config.excluded, message->sender)' 'true' test_secagg_answers

fault sa-blamed-members-are-offered $sa/aggregator_progress.c \
  'return rn_sa_set_minus(&all, &a->config.excluded);' 'return all;' test_secagg_answers

fault sa-one-secret-for-two-uses $sa/msg_ready.c \
  '!rn_point_equal(&out->mask, &out->self)' 'true' test_secagg_dealers

fault sa-one-key-of-two-members $sa/aggregator_steps.c \
  'pair % 3 * 32u' 'pair / 3 * 32u' test_secagg_dealers

fault blamed-members-are-forgotten $fed/coordresume.c \
  'RN_TRY(scan(c, RN_RECORD_BLAMED, rn_coord_read_blamed, c, err));' '(void)rn_coord_read_blamed;' \
  test_job_trouble:test_liar_is_left_out

fault blamed-members-are-not-left-out $fed/coordsession.c \
  '.excluded = rn_coord_left_out(c)' '.excluded = {{0}}' \
  test_job_trouble:test_liar_is_left_out

fault left-out-members-hear-of-no-sum $fed/catchup.c \
  'tell_left_out(c, i);' '(void)tell_left_out;' \
  test_job_trouble:test_liar_is_left_out

# The sum check.
fault sa-replay-sees-no-difference $sa/audit.c \
  '*out_same = memcmp(leaf, announced, RN_HASH_BYTES) == 0;' '*out_same = true; (void)announced;' test_secagg_sum

fault sa-replay-takes-any-upload $sa/audit.c \
  'memcmp(leaf, audit->leaves[member]' '0 * memcmp(leaf, audit->leaves[member]' test_secagg_sum

fault sa-leaves-without-root $sa/msg_audit.c \
  'memcmp(root, signed_root, RN_HASH_BYTES) == 0, err, RN_E_PEER_PROTOCOL,' 'true, err, RN_E_PEER_PROTOCOL,' test_secagg_sum

fault sa-receipts-below-the-quorum $sa/msg_receipt.c \
  'count >= transcript->quorum' 'count >= 1' test_secagg_sum

fault sa-one-receipt-twice $sa/msg_receipt.c \
  'least = sender + 1;' 'least = sender;' test_secagg_sum

fault sa-receipts-for-two-adapters $sa/msg_receipt.c \
  'RN_ENSURE(memcmp(first, adapter, sizeof first) == 0,' 'RN_ENSURE(true,' test_secagg_sum

fault sa-receipts-for-another-sum $sa/msg_receipt.c \
  'memcmp(root, transcript->sum_root, RN_HASH_BYTES) == 0' 'true' test_secagg_sum

fault sa-too-few-auditors $sa/params.c \
  'params->colluding + 1;' 'params->colluding;' test_secagg_sum

fault sa-adapter-without-receipts $sa/aggregator_stages.c \
  'if (rn_sa_set_count(&agreeing) >= a->t.quorum) {' 'if (true) {' test_secagg_sum

fault sa-receipt-before-the-replay $sa/member_result.c \
  'm->next = RN_SA_M_AUDITING;
    if (rn_sa_audit_done(m->audit)) {' 'm->next = RN_SA_M_AUDITING;
    if (true) {' test_secagg_sum

fault sa-another-adapter-is-taken $sa/member_result.c \
  'if (m->receipted && memcmp(adapter_of(&m->receipt), m->t.adapter, RN_HASH_BYTES) != 0) {' 'if (false) {' test_secagg_sum

fault sa-uploads-go-with-the-process $sa/aggregator.c \
  'rn_sa_upload_free(a, i);' 'rn_sa_upload_clear(a, i);' test_job_restart:test_coordinator_crashes_at_every_effect

fault adapter-moves-before-receipts $fed/partactions.c \
  'RN_TRY(rn_part_preview_sum(p, hash, err));' 'RN_TRY(rn_part_take_sum(p, hash, err));' test_job_rounds

fault sa-proof-of-a-right-sum $sa/sumproof.c \
  'RN_ENSURE(forged, err, RN_E_PEER_PROTOCOL, "proof: the announced sum is right");' '(void)forged;' test_secagg_sum

fault sa-proof-without-root $sa/sumproof.c \
  'memcmp(root, t->sum_root, RN_HASH_BYTES) == 0' 'true' test_secagg_sum

fault sa-forgery-is-not-proven $sa/member_result.c \
  'give_proof(m, actions);
        leave_audit(m);' '(void)give_proof;
        leave_audit(m);' test_secagg_sum

# ---- Secure aggregation: coordinator and members corrupt together

fault sa-one-vote-many-times $sa/msg_vote.c \
  'least = message.sender + 1;
    }
    return rn_ok();' 'least = message.sender;
    }
    return rn_ok();' test_secagg_corrupt

fault sa-certificate-one-vote-short $sa/msg_vote.c \
  'RN_ENSURE(count >= claim->quorum,' 'RN_ENSURE(count + 1 >= claim->quorum,' test_secagg_corrupt

fault sa-certificate-of-votes-for-other-survivors $sa/msg_vote.c \
  'RN_ENSURE(survivors || abort, err,' 'RN_ENSURE(vote < 3, err,' test_secagg_corrupt

fault sa-certificate-of-votes-of-both-kinds $sa/msg_vote.c \
  'RN_ENSURE(vote == list->kind, err,' 'RN_ENSURE(true, err,' test_secagg_corrupt

fault sa-a-round-is-joined-twice $sa/spent.c \
  'context->attempt > plan->attempt),' 'context->attempt >= plan->attempt),' test_secagg_corrupt

fault sa-spent-updates-are-encoded-again $sa/spent.c \
  'RN_ENSURE(entry == NULL, err,' 'RN_ENSURE(true, err,' test_secagg_corrupt

fault sa-a-restart-forgets-what-is-spent $sa/spent.c \
  'return load_spent(spent, &record, err);' 'return rn_ok();' test_secagg_corrupt

fault sa-upload-after-another-session-was-joined $sa/member.c \
  '!rn_sa_spent_current(m->config.spent, m->t.session)' 'false' test_secagg_corrupt

fault sa-abort-certificate-is-not-checked $sa/member_steps.c \
  'RN_TRY(rn_sa_abort_certificate_check(&claim, message->body, err));' \
  '(void)rn_sa_abort_certificate_check(&claim, message->body, err).code;' test_secagg_corrupt

fault sa-late-abort-certificate-is-not-checked $sa/spent.c \
  'RN_TRY(rn_sa_abort_certificate_check(&claim, message.body, err));' \
  '(void)rn_sa_abort_certificate_check(&claim, message.body, err).code;' test_secagg_corrupt

fault sa-nested-messages-are-not-verified $sa/transcript.c \
  'return rn_sa_message_verify(message, key, err);
}

void' 'return rn_ok();
}

void' test_secagg_corrupt

fault sa-done-overtakes-needed-chunks crypto/secagg/member.c \
  'now_ms >= m->retry_at_ms && !sending' 'now_ms >= m->retry_at_ms' \
  test_secagg_uploads:test_done_follows_what_is_needed

fault sa-done-is-forgotten-after-needed-chunks crypto/secagg/member.c \
  'if (m->state == RN_SA_M_DONE && m->sending) {' 'if (false) {' \
  test_secagg_uploads:test_done_follows_what_is_needed

fault sa-done-stays-with-a-lost-transport crypto/secagg/member.c \
  'm->sending = false; /* the transport that had them is gone */' '' \
  test_secagg_uploads:test_done_follows_what_is_needed

# ---- Blind jobs

fault no-stream-is-added crypto/secagg/member_steps.c \
  '    if (t->context.blind) {
        rn_mask_key_blind' '    if (t->context.blind && t == NULL) {
        rn_mask_key_blind' \
  test_secagg_blind

fault one-stream-for-all crypto/secagg/member_steps.c \
  'rn_mask_key_blind(&context, m->config.group, m->config.self, &key);' \
  'rn_mask_key_blind(&context, m->config.group, 0, &key);' \
  test_secagg_blind

fault streams-of-u2-are-taken-off crypto/secagg/member_result.c \
  'const struct rn_sa_set *survivors = &m->t.survivors;' \
  'const struct rn_sa_set *survivors = &m->t.linked;' \
  test_secagg_blind

fault blind-range-is-not-looked-at crypto/secagg/member_result.c \
  'm->out_of_range = same && blind && !in_range;' 'm->out_of_range = false;' \
  test_secagg_blind

fault blind-coordinator-looks-at-the-range crypto/secagg/aggregator_unmask.c \
  'if (a->t.context.blind) {' 'if (a->t.context.blind && a == NULL) {' \
  test_secagg_blind

fault the-document-is-in-no-session-id crypto/secagg/params.c \
  'rn_write_bytes(&w, context->group_hash, RN_HASH_BYTES);' \
  'rn_write_bytes(&w, (const uint8_t[RN_HASH_BYTES]){0}, RN_HASH_BYTES);' \
  test_secagg_blind

fault blindness-is-in-no-session-id crypto/secagg/params.c \
  'rn_write_u32(&w, context->blind ? 1 : 0);' 'rn_write_u32(&w, 0);' \
  test_secagg_blind

fault blind-coordinator-publishes $fed/coordoutcome.c \
  'if (outcome->sum && !c->blind) {' 'if (outcome->sum) {' \
  test_job_blind:test_members_publish*

fault blind-coordinator-publishes-the-last $fed/coordination.c \
  'if (c->round_count > 0 && !c->blind) {' 'if (c->round_count > 0) {' \
  test_job_blind:test_members_publish*

fault blind-coordinator-publishes-the-start $fed/coordresume.c \
  'if (*out_published < 0 && !c->blind) {' 'if (*out_published < 0) {' \
  test_job_blind:test_members_publish*

fault blind-coordinator-forgets-the-hash $fed/coordresume.c \
  'memcpy(c->blind_hash, results->last.after, sizeof(c->blind_hash));' '' \
  test_job_blind:test_crashes*

fault blind-round-without-adapter-counts $fed/coordsum.c \
  'memcmp(info->adapter_hash, session->before, RN_HASH_BYTES) != 0, err, RN_E_ROUND_SUM,' \
  'true, err, RN_E_ROUND_SUM,' \
  test_job_blind:test_*poisoned*

fault group-key-is-not-journalled $fed/coordsigners.c \
  '    if (c->signers.group && !had) {' '    if (c->signers.group && !had && c == NULL) {' \
  test_job_blind:test_coordinator_without_the_document

fault blind-session-without-the-key $fed/coordination.c \
  ' &&
           rn_coord_signers_ready(c);' ';' \
  test_job_blind:test_the_coordinator_alone_lacks_it

fault members-do-not-wait-for-the-key $fed/partsigners.c \
  'if (signers->satisfied && rn_plan_is_blind(basis->plan)) {' \
  'if (signers->satisfied && rn_plan_is_blind(basis->plan) && basis->self == 0) {' \
  test_job_blind:test_the_maker_never_comes

fault the-maker-brings-nothing $fed/partsigners.c \
  'if (basis->self == RN_GROUP_MAKER && signers->group != NULL) {' 'if (false) {' \
  test_job_blind:test_members_publish*

fault anybody-brings-a-document $fed/coordsigners.c \
  'if (c->blind && index == RN_GROUP_MAKER &&' 'if (c->blind &&' \
  test_job_blind:test_others_bring_nothing

fault documents-without-end $fed/coordsigners.c \
  'rn_budget_take(&c->peers[index].documents, &rate, c->clock_ms)) {' \
  '(rn_budget_take(&c->peers[index].documents, &rate, c->clock_ms) || true)) {' \
  test_job_blind:test_others_bring_nothing

fault who-waited-waits-for-ever $fed/participation.c \
  'if (p->said_waits && p->signers.satisfied) {' 'if (false) {' \
  test_job_blind:test_satisfied_between*

# ---- What the simulation remembers as valid

once=tests/simulation/verifyonce.h

fault a-signature-is-valid-under-any-tag $once \
  'rn_sha256(hash, tag, parts, count);' 'rn_sha256(hash, "any", parts, count);' test_verifyonce:test_signatures

fault what-does-not-hold-is-remembered $once \
  'RN_TRY(__real_rn_identity_verify(public_key, tag, message, signature, err));' \
  'const rn_result result = __real_rn_identity_verify(public_key, tag, message, signature, err);
    if (place[0] == 0) {
        memcpy(place, hash, RN_HASH_BYTES);
        return result;
    }' test_verifyonce:test_signatures

fault encodings-of-a-point-are-one $once \
  'rn_view_of(bytes, RN_POINT_BYTES);' 'rn_view_of(bytes, RN_POINT_BYTES - 1);' test_verifyonce:test_points

fault the-identity-is-what-was-never-used $once \
  'if (memcmp(place, hash, RN_HASH_BYTES) == 0) {
        memcpy(out->bytes' \
  'if (memcmp(place, bytes, RN_POINT_BYTES) == 0) {
        memcpy(out->bytes' test_verifyonce:test_points

fault channel-keys-are-not-looked-at $once \
  'memcmp(place, hash, RN_HASH_BYTES) != 0 && __real_rn_channel_public_valid(key)' \
  'memcmp(place, hash, RN_HASH_BYTES) != 0' test_verifyonce:test_channel_keys

# ---- Unmasking on several processors

fault parts-leave-a-lane-out crypto/secagg/openmasks.c \
  'take_with_copies(r, from, r->count * (part + 1) / r->parts)' \
  'take_with_copies(r, from, r->count * (part + 1) / r->parts - part)' \
  test_secagg_parallel:test_backwards

fault parts-take-the-same-masks crypto/secagg/openmasks.c \
  'if (place++ % d->parts == part) {' 'if (place++ % d->parts >= part) {' \
  test_secagg_parallel:test_threads

fault the-coordinator-unmasks-alone crypto/secagg/aggregator_unmask.c \
  'rn_sa_open_masks_new(&a->t, a->secrets, a->config.parallel, &masks, NULL)' \
  'rn_sa_open_masks_new(&a->t, a->secrets, NULL, &masks, NULL)' \
  test_secagg_parallel:test_backwards

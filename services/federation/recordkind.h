/* SPDX-License-Identifier: Apache-2.0
 *
 * What the records of both programs are about. The store does not interpret the numbers.
 */
#ifndef RN_SERVICES_FEDERATION_RECORDKIND_H
#define RN_SERVICES_FEDERATION_RECORDKIND_H

/* What a record is about. The numbers are stored: never reuse one. */
enum rn_journal_kind {
    RN_JOURNAL_BINDING = 1,    /* was the binding in files of schema 1 */
    RN_JOURNAL_MEMBER = 2,     /* record of the secure-aggregation member machine */
    RN_JOURNAL_AGGREGATOR = 3, /* record of the secure-aggregation aggregator machine */
    RN_JOURNAL_SPENT = 4,      /* record of the spent ledger (rule A9) */
    RN_JOURNAL_UPDATE = 5,     /* this round's trained update, before it was encoded */
    RN_JOURNAL_ADAPTER = 6,    /* the adapter after a round (round 0: before the first) */
    RN_JOURNAL_RESULT = 7,     /* outcome of a round: hashes, metrics */
    RN_JOURNAL_SUM = 8,        /* the published sum of a round, for members that missed it */
    RN_JOURNAL_RECEIPT = 9,    /* a member's signed receipt */
    RN_JOURNAL_ATTEMPT = 10,   /* an attempt at a round began: the number is used up */
    RN_JOURNAL_EVIDENCE = 11,  /* signed proof of a peer's misbehaviour */
    RN_JOURNAL_METRICS = 12,   /* evaluation of the adapter after a round */
    RN_JOURNAL_KIND_LAST_,
};

#endif

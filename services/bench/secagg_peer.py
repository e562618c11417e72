# SPDX-License-Identifier: Apache-2.0
"""The peer's side of `rondo-bench secagg`: SecAgg+ of Flower, its client mod and its server workflow in one process,
without a network. Rondo carries this file inside itself and runs it; one line of JSON comes out.

server: what the workflow computes in the unmask stage without the clients' answers, in two parts: combining shares, and
the rest. client: the stage in which a client masks its vector. All in processor time, as Rondo measures one thread.
"""
import argparse
import contextlib
import json
import logging
import time
from types import SimpleNamespace

import flwr
import numpy as np
from flwr.app import ConfigRecord, Context, Error, Message, RecordDict
from flwr.client.mod import secaggplus_mod
from flwr.common import Code, FitIns, FitRes, Status, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.common.secure_aggregation.secaggplus_constants import RECORD_KEY_CONFIGS, Key, Stage
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD
from flwr.server.workflow.constant import Key as WorkflowKey
from flwr.server.workflow.secure_aggregation import secaggplus_workflow as server

compat = server.compat
with contextlib.suppress(ImportError):  # newer versions ask who runs
    from flwr.supercore.task_identity import TaskIdentity
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 1


class Client:
    def __init__(self, node, elements):
        self.context = Context(run_id=1, node_id=node, node_config={}, state=RecordDict(), run_config={})
        self.values = np.random.default_rng(node).uniform(-0.1, 0.1, elements).astype(np.float32)

    def train(self, message, _context):
        result = FitRes(Status(Code.OK, ""), ndarrays_to_parameters([self.values]), 1, {})
        return Message(compat.fitres_to_recorddict(result, True), reply_to=message)

    def answer(self, message):
        return secaggplus_mod(message, self.context, self.train)


class Grid:
    """Runs every client in place; the lost ones fail when they should upload."""

    def __init__(self, clients, lost):
        self.clients, self.lost = clients, lost
        self.seconds = {}

    def send_and_receive(self, messages, timeout=None):
        answers = []
        for message in messages:
            node = message.metadata.dst_node_id
            stage = message.content.config_records[RECORD_KEY_CONFIGS][Key.STAGE]
            # A copy, as the network would make one.
            content = RecordDict({**message.content})
            content.config_records[RECORD_KEY_CONFIGS] = ConfigRecord(
                {**message.content.config_records[RECORD_KEY_CONFIGS]})
            copy = Message(content, dst_node_id=node, message_type=message.metadata.message_type, group_id="1")
            copy.metadata.__dict__["_message_id"] = "1"
            if stage == Stage.COLLECT_MASKED_VECTORS and node in self.lost:
                reply = Message(Error(code=0, reason="lost"), reply_to=copy)
            else:
                begun = time.process_time()
                reply = self.clients[node].answer(copy)
                self.seconds.setdefault(stage, []).append(time.process_time() - begun)
            answers.append(reply)
        return answers


def main():
    parser = argparse.ArgumentParser()
    for name in ("--members", "--elements", "--lost"):
        parser.add_argument(name, type=int, required=True)
    options = parser.parse_args()
    logging.getLogger("flwr").setLevel(logging.CRITICAL)
    nodes = list(range(1, options.members + 1))
    grid = Grid({node: Client(node, options.elements) for node in nodes}, set(nodes[:options.lost]))
    combining = [0.0]
    combine = server.combine_shares

    def timed_combine(shares):
        begun = time.process_time()
        secret = combine(shares)
        combining[0] += time.process_time() - begun
        return secret

    server.combine_shares = timed_combine
    fit = [(SimpleNamespace(node_id=node), FitIns(ndarrays_to_parameters([np.zeros(1, np.float32)]), {})) for node in nodes]
    sums = []
    strategy = SimpleNamespace(configure_fit=lambda *_: fit,
                               aggregate_fit=lambda _, results, failures: (sums.append(results[0][1].parameters), (None, {}))[1])
    context = SimpleNamespace(
        state=RecordDict({MAIN_CONFIGS_RECORD: ConfigRecord({WorkflowKey.CURRENT_ROUND: 1}),
                          MAIN_PARAMS_RECORD: compat.parameters_to_arrayrecord(
                              ndarrays_to_parameters([np.zeros(1, np.float32)]), True)}),
        strategy=strategy, history=SimpleNamespace(add_metrics_distributed_fit=lambda **_: None),
        client_manager=SimpleNamespace(num_available=lambda: options.members))
    workflow = server.SecAggPlusWorkflow(num_shares=1.0, reconstruction_threshold=0.6, max_weight=1.0)
    state = server.WorkflowState()
    stages = {}
    for stage in (workflow.setup_stage, workflow.share_keys_stage, workflow.collect_masked_vectors_stage,
                  workflow.unmask_stage):
        before = sum(map(sum, grid.seconds.values()))
        begun = time.process_time()
        if not stage(grid, context, state):
            raise SystemExit(f"Flower's {stage.__name__} ended the round")
        stages[stage.__name__] = time.process_time() - begun - (sum(map(sum, grid.seconds.values())) - before)
    mean = parameters_to_ndarrays(sums[0])[0]
    wanted = np.mean([grid.clients[node].values for node in nodes[options.lost:]], axis=0)
    error = float(np.abs(mean - wanted).max())
    if error > 1e-4:
        raise SystemExit(f"Flower's mean is wrong by {error}")
    masking = grid.seconds[Stage.COLLECT_MASKED_VECTORS]
    print(json.dumps({"flwr": flwr.__version__, "client": sum(masking) / len(masking),
                      "server": stages["unmask_stage"] - combining[0], "combining": combining[0],
                      "shares": sum(map(sum, (grid.seconds[Stage.SETUP], grid.seconds[Stage.SHARE_KEYS])))}))


if __name__ == "__main__":
    main()

"""The parent process of a deployment and its children: OPA, sequencer, gateway workers; and the checks before the start."""

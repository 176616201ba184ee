"""Make the schemas of this folder anew from published ones, without their descriptions.

Both are under the Apache License 2.0: those of Kubernetes as the Python package kubernetes-validate carries
them, that of the Compose Specification as the npm package dclint does.

    python tests/deploy/schemas/strip.py FOLDER/kubernetes-json-schema/v1.34.0-local-strict
    python tests/deploy/schemas/strip.py FOLDER/schemas/compose.schema.json
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OF_FILE = "/api/_definitions.json"
DEFINITION = re.compile(r'#/\$defs/([^"]+)"')
KINDS = {
    "StatefulSet": "io.k8s.api.apps.v1.StatefulSet",
    "Service": "io.k8s.api.core.v1.Service",
    "ServiceAccount": "io.k8s.api.core.v1.ServiceAccount",
    "ConfigMap": "io.k8s.api.core.v1.ConfigMap",
    "Secret": "io.k8s.api.core.v1.Secret",
    "NetworkPolicy": "io.k8s.api.networking.v1.NetworkPolicy",
}


def stripped(node: Any, *, of_names: bool = False) -> Any:
    """Return a schema without what only people read; `of_names`: the keys are names of properties."""
    if isinstance(node, list):
        return [stripped(one) for one in node]
    if not isinstance(node, dict):
        return node
    kept = node if of_names else {key: node[key] for key in node if key not in ("description", "example")}
    return {
        key: stripped(value, of_names=not of_names and key in ("properties", "definitions", "$defs"))
        for key, value in kept.items()
    }


def used_by(node: Any) -> set[str]:
    """Return the definitions that a schema refers to."""
    return set(DEFINITION.findall(json.dumps(node)))


def kubernetes(folder: Path) -> dict[str, Any]:
    """Return the schemas of KINDS in one document."""
    known = json.loads((folder / "_definitions.json").read_text(encoding="utf-8"))["$defs"]
    needed: dict[str, Any] = {}
    waiting = set(KINDS.values())
    while waiting:
        name = waiting.pop()
        needed[name] = stripped(known[name])
        waiting |= used_by(known[name]) - needed.keys()
    text = json.dumps({"$defs": needed}, sort_keys=True)
    document: dict[str, Any] = json.loads(text.replace(OF_FILE, ""))
    return {"version": folder.name, "kinds": KINDS, **document}


def main() -> None:
    """Write the file that belongs to the one named."""
    source = Path(sys.argv[1])
    if source.is_dir():
        name, made = "kubernetes.json", kubernetes(source)
    else:
        name, made = "compose.json", stripped(json.loads(source.read_text(encoding="utf-8")))
    (HERE / name).write_text(json.dumps(made, separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

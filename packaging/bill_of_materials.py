"""Write what a package is made of, as CycloneDX 1.6: each library with the hashes of the wheels that it came in.

The same input gives the same bytes: the serial number is derived from the content, the time is that of the commit.
Source: CycloneDX 1.6 JSON reference, package URL specification.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Sequence
from typing import Any

from vendored import Part

NAMESPACE = uuid.UUID("7a0b7f3e-3a53-5ad5-9a53-1b2c6ad4b3f1")


def bill_of_materials(package: str, version: str, machine: str, parts: Sequence[Part], when: int) -> str:
    """Return the bill of one package for one machine as JSON text."""
    root = f"pkg:generic/{package}@{version}?arch={machine}"
    components, dependencies = [], []
    direct = {part.name for part in parts} - {need for part in parts for need in part.needs}
    for part in parts:
        components.append(_component(part))
        below = [_purl(other) for other in parts if other.name in part.needs]
        if part.inside:
            components.append(_compiled_in(*part.inside))
            below.append(f"pkg:generic/{part.inside[0]}")
            dependencies.append({"ref": below[-1], "dependsOn": []})
        dependencies.append({"ref": _purl(part), "dependsOn": below})
    dependencies.append({"ref": root, "dependsOn": [_purl(part) for part in parts if part.name in direct]})
    moment = dt.datetime.fromtimestamp(when, dt.timezone.utc)
    bill: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": package,
                "version": version,
                "purl": root,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        },
        "components": sorted(components, key=lambda each: each["bom-ref"]),
        "dependencies": sorted(dependencies, key=lambda each: str(each["ref"])),
    }
    bill["serialNumber"] = uuid.uuid5(NAMESPACE, json.dumps(bill, sort_keys=True)).urn
    return json.dumps(bill, indent=1, sort_keys=True) + "\n"


def _component(part: Part) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": _purl(part),
        "name": part.name,
        "version": part.version,
        "purl": _purl(part),
        "licenses": [{"license": {"id": part.licence}}],
        "externalReferences": [
            {"type": "distribution", "url": name, "hashes": [{"alg": "SHA-256", "content": digest}]}
            for name, digest in sorted(part.wheels.items())
        ],
    }


def _compiled_in(name: str, licence: str) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": f"pkg:generic/{name}",
        "name": name,
        "purl": f"pkg:generic/{name}",
        "licenses": [{"license": {"id": licence}}],
    }


def _purl(part: Part) -> str:
    return f"pkg:pypi/{part.name}@{part.version}"

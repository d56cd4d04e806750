"""How a small Cassandra node is told to run: its jars, its JVM, its yaml."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

VERSION = "5.0.6"
LOGBACK = """<configuration><appender name="out" class="ch.qos.logback.core.ConsoleAppender"><encoder>
<pattern>%-5level %date{ISO8601} %msg%n</pattern></encoder></appender>
<root level="WARN"><appender-ref ref="out"/></root></configuration>"""
_EXPORTS = [
    *(f"java.base/{name}" for name in ("jdk.internal.misc", "jdk.internal.ref", "sun.nio.ch", "java.lang.ref")),
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    *(f"java.rmi/{name}" for name in ("sun.rmi.registry", "sun.rmi.server")),
    "java.sql/java.sql",
    "jdk.unsupported/sun.misc",
]
_OPENED = (
    "java.lang java.lang.module java.lang.reflect java.io java.nio java.net java.math java.util java.util.concurrent "
    "java.util.concurrent.atomic jdk.internal.loader jdk.internal.ref jdk.internal.reflect jdk.internal.math "
    "jdk.internal.module jdk.internal.util.jar sun.nio.ch"
)
_OPENS = [*(f"java.base/{name}" for name in _OPENED.split()), "jdk.management/com.sun.management.internal"]
_PROPERTIES = {
    "jdk.attach.allowAttachSelf": "true",
    "cassandra.superuser_setup_delay_ms": 0,
    "cassandra.skip_wait_for_gossip_to_settle": 0,
    "cassandra.ring_delay_ms": 3000,
    "cassandra.consistent.rangemovement": "false",
    "cassandra.auth_bcrypt_gensalt_log2_rounds": 4,
}
JVM = [
    *("-Xms256m", "-Xmx640m", "-XX:MaxDirectMemorySize=256m", "-XX:+UseSerialGC", "-Xss512k"),
    *(f"--add-exports={name}=ALL-UNNAMED" for name in _EXPORTS),
    *(f"--add-opens={name}=ALL-UNNAMED" for name in _OPENS),
    *(f"-D{name}={value}" for name, value in _PROPERTIES.items()),
]


def pom() -> str:
    """Give what tells Maven which jars are wanted."""
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>local</groupId>'
        "<artifactId>node</artifactId><version>1</version><dependencies><dependency><groupId>org.apache.cassandra"
        f"</groupId><artifactId>cassandra-all</artifactId><version>{VERSION}</version></dependency></dependencies>"
        "</project>"
    )


def yaml(folder: Path, address: str, seed: str, more: Mapping[str, object]) -> str:
    """Give a node's cassandra.yaml; JSON is YAML."""
    places = {f"{name}_directory": f"{folder}/{name}" for name in ("commitlog", "saved_caches", "hints", "cdc_raw")}
    settings: dict[str, object] = {
        "cluster_name": "eventlog",
        "num_tokens": 4,
        "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
        "data_file_directories": [f"{folder}/data"],
        **places,
        "commitlog_sync": "periodic",
        "commitlog_sync_period": "10000ms",
        "commitlog_segment_size": "32MiB",
        "seed_provider": [
            {"class_name": "org.apache.cassandra.locator.SimpleSeedProvider", "parameters": [{"seeds": f"{seed}:7000"}]}
        ],
        "listen_address": address,
        "rpc_address": address,
        "endpoint_snitch": "SimpleSnitch",
        "memtable_heap_space": "64MiB",
        "auto_snapshot": False,
        **more,
    }
    wanted = {name: value for name, value in settings.items() if value is not None}
    return json.dumps(wanted, indent=1)

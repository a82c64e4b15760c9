"""OpenStack Swift with its S3 front door, all of it in one process: what the tests of S3 talk to.

    /usr/bin/python3 swift_server.py FOLDER ACCESS_KEY SECRET_KEY BUCKET [PORT]

Everything lies in FOLDER, whose file system must have extended attributes. It makes the bucket and then writes the URL
into FOLDER/url. A second start with the same FOLDER and PORT goes on with what is there. It ends when its parent does.
"""
import ctypes
import json
import os
import pathlib
import signal
import socket
import sys

ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: not even a killed test leaves it behind

from swift.common import utils

utils.eventlet_monkey_patch()

import eventlet
import eventlet.wsgi
from swift.common.ring import RingBuilder
from swift.common.swob import Request
from swift.common.wsgi import SwiftHttpProtocol, loadapp

FOLDER = pathlib.Path(sys.argv[1])
ACCESS_KEY, SECRET_KEY, BUCKET = sys.argv[2:5]
PORT = int(sys.argv[5]) if len(sys.argv) > 5 else 0

STORAGE = """
[DEFAULT]
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
user = root
log_address = {folder}/no-syslog
fallocate_reserve = 0
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
# A listing that lags behind would make tests of a busy machine fail; in one process it need not.
container_update_timeout = 60
node_timeout = 60
conn_timeout = 60
"""

PROXY = """
[DEFAULT]
swift_dir = {folder}
user = root
log_address = {folder}/no-syslog
[pipeline:main]
pipeline = catch_errors s3api tempauth slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
node_timeout = 60
conn_timeout = 60
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
# Parts of a few bytes, and pages of a few keys, are enough for a test.
min_segment_size = 1
[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{user} = {secret} .admin
[filter:slo]
use = egg:swift#slo
"""


class Cache:
    """What Swift asks memcached for, without memcached: that the bucket is there."""

    def __init__(self):
        self.entries = {}

    def get(self, key, *_, **__):
        return json.loads(self.entries.get(key, "null"))

    def set(self, key, value, *_, **__):
        self.entries[key] = json.dumps(value)

    def delete(self, key, *_, **__):
        self.entries.pop(key, None)


def with_cache(app):
    cache = Cache()

    def answer(env, start_response):
        env["swift.cache"] = cache
        return app(env, start_response)
    return answer


def listen(port=0):
    door = eventlet.listen(("127.0.0.1", port), backlog=128)
    door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return door


def write_ring(kind, port):
    builder = RingBuilder(1, 1, 0)
    builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "disk", "weight": 1,
                     "replication_ip": "127.0.0.1", "replication_port": port})
    builder.rebalance()
    builder.get_ring().save(str(FOLDER / f"{kind}.ring.gz"))


def load(name, text):
    file = FOLDER / f"{name}.conf"
    file.write_text(text)
    return loadapp(str(file), global_conf={"log_name": name})


def serve(door, app):
    eventlet.spawn(eventlet.wsgi.server, door, app, utils.NullLogger(), protocol=SwiftHttpProtocol,
                   custom_pool=eventlet.GreenPool(256), capitalize_response_headers=False)


def make_bucket(app, account):
    for path in (f"/v1/AUTH_{account}/{BUCKET}", f"/v1/AUTH_{account}/{BUCKET}+segments"):
        request = Request.blank(path, method="PUT", environ={"swift.authorize_override": True,
                                                             "swift.authorize": lambda _: None})
        answer = request.get_response(app)
        if not answer.is_success:
            sys.exit(f"cannot make the bucket: {answer.status} {answer.body}")


def main():
    (FOLDER / "devices" / "disk").mkdir(parents=True, exist_ok=True)
    (FOLDER / "swift.conf").write_text("[swift-hash]\nswift_hash_path_prefix = a\nswift_hash_path_suffix = b\n")
    utils.set_swift_dir(str(FOLDER))
    doors = {kind: listen() for kind in ("account", "container", "object")}
    for kind, door in doors.items():
        write_ring(kind, door.getsockname()[1])
    for kind, door in doors.items():
        serve(door, load(f"{kind}-server", STORAGE.format(folder=FOLDER, kind=kind)))
    account, user = ACCESS_KEY.split(":")
    front_door = listen(PORT)
    app = with_cache(load("proxy-server", PROXY.format(folder=FOLDER, account=account, user=user, secret=SECRET_KEY)))
    make_bucket(app, account)
    serve(front_door, app)
    (FOLDER / "url.new").write_text(f"http://127.0.0.1:{front_door.getsockname()[1]}")
    os.rename(FOLDER / "url.new", FOLDER / "url")
    while True:
        eventlet.sleep(3600)


main()

"""A network of two hosts, the broker's namespace (this process') and the worker's, that can be made bad: each packet between them goes
through this process, which delays, loses, doubles and damages them. It takes no kernel module for that (netem): two tun devices, and the
right to make namespaces. Nothing leads out of either namespace.
"""
import dataclasses
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time

import kafka

BROKER, WORKER = "192.0.2.1", "192.0.2.2"       # addresses for documentation: nobody's
MTU = 16000                                     # few packets: Python carries them
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
TO_WORKER, TO_BROKER = 0, 1


class NotAllowed(Exception):
    """This place does not let us make networks; the text says what it refused."""


@dataclasses.dataclass
class Weather:
    """What becomes of packets, in each direction that is named."""
    delay_s: float = 0.0
    spread_s: float = 0.0                       # more delay, by chance: packets overtake each other
    loss: float = 0.0
    double: float = 0.0
    flip: float = 0.0                           # one bit of it is another one: the checksum's work
    directions: tuple = (TO_WORKER, TO_BROKER)


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotAllowed("'%s' says: %s" % (" ".join(command), done.stderr.strip()))


def open_tun(name):
    try:
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    except OSError as error:
        raise NotAllowed("/dev/net/tun: %s" % error) from None
    return tun


class Network:
    """Call it in a namespace of its own. `enter` is what a command begins with that is to run on the worker's host."""

    def __init__(self, seed):
        self.chance, self.weather, self.lock = random.Random(seed), Weather(), threading.Lock()
        self.carried, self.lost, self.doubled, self.flipped, self.waiting, self.number = 0, 0, 0, 0, [], 0
        self.tuns = [open_tun("broker0"), open_tun("worker0")]      # what is read from one is written to the other
        try:
            self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                           stderr=subprocess.DEVNULL, preexec_fn=kafka.die_with_parent)
        except OSError as error:
            raise NotAllowed("unshare: %s" % error) from None
        while os.readlink("/proc/%d/ns/net" % self.holder.pid) == os.readlink("/proc/self/ns/net"):
            if self.holder.poll() is not None:
                raise NotAllowed("unshare --net ended with %d" % self.holder.returncode)
            time.sleep(0.01)
        self.enter = ["nsenter", "--net=/proc/%d/ns/net" % self.holder.pid]
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "set", "worker0", "netns", str(self.holder.pid))
        self._up([], "broker0", BROKER, WORKER)
        self._up(self.enter, "worker0", WORKER, BROKER)
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._carry, daemon=True)
        self.thread.start()

    @staticmethod
    def _up(enter, device, address, peer):
        run(*enter, "ip", "address", "add", address, "peer", peer, "dev", device)
        run(*enter, "ip", "link", "set", device, "mtu", str(MTU), "up")

    def link(self, up):
        """The worker's side of the cable."""
        run(*self.enter, "ip", "link", "set", "worker0", "up" if up else "down")

    def set(self, weather):
        with self.lock:
            self.weather = weather

    def close(self):
        self.ending.set()
        self.thread.join()
        for tun in self.tuns:
            os.close(tun)
        self.holder.kill()
        self.holder.wait()

    def _carry(self):
        poll = select.epoll()
        for tun in self.tuns:
            poll.register(tun, select.EPOLLIN)
        while not self.ending.is_set():
            wait_s = self.waiting[0][0] - time.monotonic() if self.waiting else 0.1
            for tun, _ in poll.poll(min(max(wait_s, 0), 0.1)):
                self._take(tun)
            while self.waiting and self.waiting[0][0] <= time.monotonic():
                _, _, tun, packet = heapq.heappop(self.waiting)
                self._give(tun, packet)
        poll.close()

    def _take(self, tun):
        try:
            packet = os.read(tun, 65536)
        except OSError:                         # the link is down
            return
        direction = self.tuns.index(tun)        # the broker's device gives what goes to the worker
        with self.lock:
            weather = self.weather
        if direction not in weather.directions:
            weather = Weather()
        self.carried += 1
        if self.chance.random() < weather.loss:
            self.lost += 1
            return
        if self.chance.random() < weather.flip:
            self.flipped += 1
            at = self.chance.randrange(len(packet) * 8)
            packet = packet[:at // 8] + bytes([packet[at // 8] ^ 1 << at % 8]) + packet[at // 8 + 1:]
        copies = 1 + (self.chance.random() < weather.double)
        self.doubled += copies - 1
        for _ in range(copies):
            due = time.monotonic() + weather.delay_s + self.chance.random() * weather.spread_s
            self.number += 1
            heapq.heappush(self.waiting, (due, self.number, self.tuns[1 - direction], packet))

    def _give(self, tun, packet):
        try:
            os.write(tun, packet)
        except OSError:                         # the link is down, or that bit was of the header
            self.lost += 1

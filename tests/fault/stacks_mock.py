"""librdkafka's mock cluster from Python: brokers in this process whose next answers can be made errors.

A cluster is for one case at a time: the stacks of errors are the cluster's, and a request of anybody takes from them. Clusters are left
to the end of the process, for 2.0.2 hangs now and then when one is destroyed.
"""
import ctypes

API = {"Fetch": 1, "OffsetCommit": 8, "OffsetFetch": 9, "FindCoordinator": 10, "JoinGroup": 11, "Heartbeat": 12, "SyncGroup": 14}
TRANSPORT = -195                                    # the mock closes the connection instead of answering
BROKER_ID = 1                                       # the mock numbers them from 1
PRODUCER = 0

_lib = ctypes.CDLL("librdkafka.so.1")
for _name, _result, _arguments in (
        ("rd_kafka_conf_new", ctypes.c_void_p, []),
        ("rd_kafka_conf_set_log_cb", None, [ctypes.c_void_p, ctypes.c_void_p]),
        ("rd_kafka_new", ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]),
        ("rd_kafka_version_str", ctypes.c_char_p, []),
        ("rd_kafka_err2name", ctypes.c_char_p, [ctypes.c_int]),
        ("rd_kafka_mock_cluster_new", ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int]),
        ("rd_kafka_mock_cluster_bootstraps", ctypes.c_char_p, [ctypes.c_void_p]),
        ("rd_kafka_mock_topic_create", ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]),
        ("rd_kafka_mock_broker_push_request_error_rtts", ctypes.c_int,
         [ctypes.c_void_p, ctypes.c_int32, ctypes.c_int16, ctypes.c_size_t]),       # and pairs of ints
        ("rd_kafka_mock_broker_error_stack_cnt", ctypes.c_int,
         [ctypes.c_void_p, ctypes.c_int32, ctypes.c_int16, ctypes.POINTER(ctypes.c_size_t)]),
        ("rd_kafka_mock_broker_set_down", ctypes.c_int, [ctypes.c_void_p, ctypes.c_int32]),
        ("rd_kafka_mock_broker_set_up", ctypes.c_int, [ctypes.c_void_p, ctypes.c_int32])):
    getattr(_lib, _name).restype, getattr(_lib, _name).argtypes = _result, _arguments


def library_version():
    return _lib.rd_kafka_version_str().decode()


def name_of(code):
    return "disconnected" if code == TRANSPORT else _lib.rd_kafka_err2name(code).decode()


class Cluster:
    def __init__(self):
        conf = _lib.rd_kafka_conf_new()
        _lib.rd_kafka_conf_set_log_cb(conf, None)           # broken connections are what is done here
        text = ctypes.create_string_buffer(512)
        host = _lib.rd_kafka_new(PRODUCER, conf, text, len(text))
        self.handle = host and _lib.rd_kafka_mock_cluster_new(host, 1)
        if not self.handle:
            raise RuntimeError("no mock cluster: " + text.value.decode())
        self.bootstrap = _lib.rd_kafka_mock_cluster_bootstraps(self.handle).decode()

    @staticmethod
    def _done(code):
        if code != 0:
            raise RuntimeError("the mock cluster says " + name_of(code))

    def create_topic(self, name, partitions):
        self._done(_lib.rd_kafka_mock_topic_create(self.handle, name.encode(), partitions, 1))

    def push(self, api, codes):
        """The next answers to requests of this kind."""
        for code in codes:
            self._done(_lib.rd_kafka_mock_broker_push_request_error_rtts(self.handle, BROKER_ID, API[api], 1, ctypes.c_int(code), ctypes.c_int(0)))

    def left(self, api):
        """How many of them nobody has asked for yet."""
        count = ctypes.c_size_t()
        self._done(_lib.rd_kafka_mock_broker_error_stack_cnt(self.handle, BROKER_ID, API[api], ctypes.byref(count)))
        return count.value

    def down(self):
        self._done(_lib.rd_kafka_mock_broker_set_down(self.handle, BROKER_ID))

    def up(self):
        self._done(_lib.rd_kafka_mock_broker_set_up(self.handle, BROKER_ID))

"""The WSGI application: environ in, response out (PEP 3333).

`read_head` turns a request head into an exchange with its environ; `run` calls the application and carries its answer
to the exchange. Neither knows about sockets or threads.
"""

import errno
import io
import os

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Copy, PyDict_SetItem
from cpython.list cimport PyList_CheckExact
from cpython.tuple cimport PyTuple_CheckExact
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from pronghorn.apps.headers cimport HeaderPolicy, is_request_id
from pronghorn.apps.peers cimport Peers
from pronghorn.apps.section cimport Section, SectionCache
from pronghorn.debug cimport DEBUG, REQUESTS, Witness
from pronghorn.engine.connection cimport Connection, local_address
from pronghorn.engine.exchange cimport Exchange, Handler, Host, flush_beside, stop_if_forked
from pronghorn.engine.posix cimport (
    CLOCK_REALTIME,
    S_ISREG,
    clock_ns,
    fstat,
    monotonic_ns,
    stat_t,
)
from pronghorn.engine.spool cimport Body
from pronghorn.wire.faults cimport LARGE_BODY, OTHER_MOUNT, TWO_FORWARDED
from pronghorn.wire.http1 cimport (
    ASTERISK_FORM,
    DONE,
    EXPECTS_CONTINUE,
    HAS_MOUNT,
    HAS_REQUEST_ID,
    IS_CHUNKED,
    MORE,
    SAYS_CLOSE,
    SAYS_KEEP_ALIVE,
    Field,
    Head,
    Limits,
    Span,
    check_head,
    parse_head,
    parse_request_line,
    parse_section,
    unescape_path,
)

from pronghorn import __version__
from pronghorn.apps.current import disconnected, set_timeout
from pronghorn.apps.headers import key_of

cdef str GET = "GET", HEAD = "HEAD", POST = "POST", HTTP10 = "HTTP/1.0", NOTHING = ""
cdef str METHOD = "REQUEST_METHOD", PATH = "PATH_INFO", QUERY = "QUERY_STRING", RAW = "RAW_URI", REQUEST = "REQUEST_URI"
cdef str REQUEST_ID = "pronghorn.request_id"
cdef str MOUNT = "SCRIPT_NAME", SERVER = "SERVER_NAME"
cdef str PROTOCOL = "SERVER_PROTOCOL", ADDRESS = "REMOTE_ADDR", PORT = "REMOTE_PORT", INPUT = "wsgi.input"

cdef tuple EVERY_ADDRESS = ("0.0.0.0", "[::]")
cdef tuple NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)

cdef enum:
    PATH_ROOM = 16 * 1024
    ID_ROOM = 48            # twelve digits, two numbers of eight at most, and what stands between them


@cython.final
cdef class FileWrapper:
    """`wsgi.file_wrapper`: a file-like object and a block size, to be returned by the application as its response.

    A real file is sent by the kernel, from its current position; anything else is read in blocks.
    """

    cdef readonly object filelike
    cdef readonly Py_ssize_t block_size

    def __init__(self, filelike, block_size=65536):
        self.filelike = filelike
        self.block_size = block_size

    def __iter__(self):
        return self

    def __next__(self):
        block = self.filelike.read(self.block_size)
        if not block:
            raise StopIteration
        return block

    def close(self):
        """Closes the file, if it can be closed."""
        close = getattr(self.filelike, "close", None)
        if close is not None:
            close()


@cython.final
cdef class WSGIExchange(Exchange):
    """A WSGI call. It is its own `start_response`."""

    cdef bint asterisk

    def __call__(self, status, headers, exc_info=None):
        """`start_response(status, headers, exc_info=None)`: PEP 3333, "The start_response() Callable"."""
        if self.ended or self.abandoned:
            raise RuntimeError("start_response was called after the end of the response")
        if exc_info is not None:
            try:
                if self.head_sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None         # no reference cycle through the traceback
        elif self.started:
            raise AssertionError("start_response was called twice without exc_info")
        if not isinstance(headers, list):
            raise TypeError(f"the response headers must be a list, not {type(headers).__name__}")
        if not isinstance(status, str):
            raise TypeError(f"the status must be a str, not {type(status).__name__}")
        self.begin(status if type(status) is str else str.__str__(status), headers)
        return self.write

    def write(self, data):
        """The imperative way to send a body: PEP 3333, "The write() Callable".

        Raises BrokenPipeError once the peer is gone: an application that writes for ever would never hear of it.
        """
        if self.ended or self.abandoned:
            raise RuntimeError("write() was called after the end of the response")
        if not self.head_sent:
            self.send_head(-1)
        self.write_body(as_bytes(data))
        self.flush()
        if self.connection.broken:
            raise BrokenPipeError("the peer has left before the end of the response")


cdef str bracketed(str address):
    """An address as SERVER_NAME has it (RFC 3875 section 4.1.14)."""
    return f"[{address}]" if ":" in address else address


cdef bytes as_bytes(object block):
    """A piece of body. Buffers other than bytes are copied, because they may change before they are sent."""
    if PyBytes_CheckExact(block):
        return <bytes>block
    if isinstance(block, (bytes, bytearray, memoryview)):
        return bytes(block)
    raise TypeError(f"a response body is made of bytes, not {type(block).__name__}")


@cython.final
cdef class WSGI(Handler):
    """Answers requests by calling a WSGI application.

    `app` is the callable; `options` an EngineOptions (its limits); `listeners` the sockets it will be served on, for
    SERVER_NAME and SERVER_PORT; `trust` a TrustOptions, which says whose forwarding headers count; `errors` becomes
    `wsgi.errors`; `multithread` says whether calls may overlap in this process; `mount` is where the application stands
    unless a proxy says so (SCRIPT_NAME), without a `/` behind; `id_header` names the header in which a trusted peer
    tells a request's id.
    """

    cdef object app
    cdef Peers forwarders
    cdef HeaderPolicy policy
    cdef int fault
    cdef bint casefold
    cdef dict bases
    cdef Limits limits
    cdef Field* fields
    cdef uint64_t body_limit
    cdef SectionCache sections
    cdef str id_key         # the environ's of id_header
    cdef bytes id_prefix    # what the ids that are made here begin with
    cdef Body nothing
    cdef uint8_t path_room[PATH_ROOM]

    def __init__(
        self, app, options, listeners, *,
        trust, errors, multithread, multiprocess=False, mount="", id_header="X-Request-ID",
    ):
        self.app = app
        self.forwarders = Peers(trust.forwarded_allow_ips)
        self.policy = HeaderPolicy(trust)
        self.casefold = options.casefold_http_method
        self.id_key = key_of(id_header.encode())
        # 48 random bits for each worker; what follows is unique within it.
        self.id_prefix = os.urandom(6).hex().encode() + b"-"
        self.limits.request_line = options.limit_request_line
        self.limits.field_line = options.limit_request_field_size
        self.limits.fields = options.limit_request_fields
        self.limits.section = options.limit_request_head
        self.body_limit = options.limit_request_body
        self.fields = <Field*>malloc((self.limits.fields + 1) * sizeof(Field))
        if self.fields == NULL:
            raise MemoryError
        self.sections = SectionCache()
        self.nothing = Body()
        self.bases = {}
        for listener in listeners:
            self.bases[listener.fileno()] = self._base(listener, errors, multiprocess, multithread, mount)

    def __dealloc__(self):
        free(self.fields)

    def _base(self, listener, errors, multiprocess, multithread, mount):
        """What every environ of a listener begins as. Keys each request sets are here too: a copy never grows."""
        name = listener.getsockname()
        host, port = (bracketed(name[0]), str(name[1])) if isinstance(name, tuple) else ("localhost", "80")
        return {
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            INPUT: self.nothing,
            "wsgi.errors": errors,
            "wsgi.multithread": multithread,
            "wsgi.multiprocess": multiprocess,
            "wsgi.run_once": False,
            "wsgi.file_wrapper": FileWrapper,
            "wsgi.input_terminated": True,
            "pronghorn.set_timeout": set_timeout,
            "pronghorn.disconnected": disconnected,
            "SERVER_SOFTWARE": f"pronghorn/{__version__}",
            SERVER: host,
            "SERVER_PORT": port,
            PROTOCOL: "HTTP/1.1",
            MOUNT: mount,
            METHOD: GET,
            PATH: "",
            QUERY: "",
            RAW: "",
            REQUEST: "",
            ADDRESS: "",
            PORT: "",
        }

    cdef int welcome(self, Connection connection) except -1:
        connection.trusted = self.forwarders.hold(connection.address)
        return 0

    # Reading a head

    cdef int read_head(self, Host host, Connection connection, const uint8_t* data, uint32_t size) except? -9999:
        cdef Head head
        cdef dict template = None
        cdef int result
        if connection.partial == NULL:
            memset(&head, 0, sizeof(head))
            result = parse_request_line(data, size, &self.limits, &head)
            if result == DONE:
                template = self._find_section(connection, data, size, &head)
                if template is None:
                    result = parse_section(data, size, &self.limits, &head, self.fields)
            if result == MORE:
                connection.partial = <Head*>calloc(1, sizeof(Head))
                if connection.partial == NULL:
                    raise MemoryError
                connection.partial[0] = head
        else:
            result = parse_head(data, size, &self.limits, connection.partial, self.fields)
            head = connection.partial[0]
        if result != DONE:
            return result
        result = check_head(data, &head)
        if result < 0:
            return result
        if template is None:
            template = self._make_template(connection, data, &head)
            if template is None:
                return self.fault
        if head.facts.content_length > <int64_t>self.body_limit:
            return LARGE_BODY
        self.used = head.end
        return self._open(host, connection, data, &head, template)

    cdef dict _find_section(self, Connection connection, const uint8_t* data, uint32_t size, Head* head):
        """The template of a header section that was seen before; sets head.facts and head.end. None if it was not."""
        cdef Section section = self.sections.find(
            &connection.cache_slot, data + head.section_start, size - head.section_start,
            connection.listener, connection.trusted,
        )
        if section is None:
            return None
        head.facts = section.facts
        head.end = head.section_start + <uint32_t>PyBytes_GET_SIZE(section.block)
        return section.template

    cdef dict _make_template(self, Connection connection, const uint8_t* data, Head* head):
        """An environ with this section's headers. None when they cannot be served; then `fault` says why."""
        cdef dict template = PyDict_Copy(self.bases[connection.listener])
        cdef dict repeated = None
        cdef Field* field
        cdef uint32_t i
        for i in range(head.count):
            field = &self.fields[i]
            key = self.policy.key(data + field.name.start, field.name.length, connection.trusted)
            if key is None:
                self.fault = self.policy.fault
                if self.fault:
                    return None
                continue
            value = text_of(data, &field.value)
            if key in template:
                # Joined once at the end: joining at each repetition is quadratic.
                if repeated is None:
                    repeated = {}
                repeated.setdefault(key, [template[key]]).append(value)
            else:
                PyDict_SetItem(template, key, value)
        if repeated is not None:
            for key, values in repeated.items():
                if key in self.policy.reserved:
                    self.fault = TWO_FORWARDED
                    return None
                template[key] = ("; " if key == "HTTP_COOKIE" else ", ").join(values)
        if connection.trusted:
            self.fault = self.policy.take_word(template)
            if self.fault:
                return None
            if is_request_id(template.get(self.id_key)):
                head.facts.flags |= HAS_REQUEST_ID
        if template[MOUNT]:
            head.facts.flags |= HAS_MOUNT
        if template[SERVER] in EVERY_ADDRESS and "HTTP_HOST" not in template:
            # PEP 3333 makes the URL of SERVER_NAME then, and the client cannot connect to 0.0.0.0. The template is not
            # kept: others connect to other addresses of this listener.
            template[SERVER] = bracketed(local_address(connection)) or template[SERVER]
            return template
        self.sections.store(
            &connection.cache_slot, data + head.section_start, head.end - head.section_start,
            connection.listener, connection.trusted, template, &head.facts,
        )
        return template

    cdef int _open(
        self, Host host, Connection connection, const uint8_t* data, Head* head, dict template
    ) except? -9999:
        """Makes the exchange of a checked head."""
        cdef dict environ = PyDict_Copy(template)
        cdef WSGIExchange exchange = WSGIExchange.__new__(WSGIExchange)
        cdef uint32_t flags = head.facts.flags
        cdef str method = method_name(data + head.method.start, head.method.length)
        cdef str target = text_of(data, &head.target)
        cdef int size
        if DEBUG:
            exchange.witness = Witness(REQUESTS)
        exchange.environ = environ
        exchange.method = method
        exchange.target = target
        exchange.connection = connection
        exchange.host = host
        exchange.number = connection.served + 1
        if flags & HAS_REQUEST_ID:
            exchange.name = <str>template[self.id_key]
        if method is not GET:
            exchange.is_head = method is HEAD
            PyDict_SetItem(environ, METHOD, method.upper() if self.casefold else method)
        PyDict_SetItem(environ, RAW, target)
        PyDict_SetItem(environ, REQUEST, target)
        if head.path_escaped:
            size = self._unescape(data + head.path.start, head.path.length, environ)
            if size < 0:
                return size
        elif head.path.length == head.target.length:
            PyDict_SetItem(environ, PATH, target)
        elif head.path.length:
            PyDict_SetItem(environ, PATH, text_of(data, &head.path))
        elif head.form == ASTERISK_FORM:
            exchange.asterisk = True
        else:
            PyDict_SetItem(environ, PATH, "/")      # RFC 9110 section 4.2.3: an empty path of an http URI is `/`
        if head.query.length:
            PyDict_SetItem(environ, QUERY, text_of(data, &head.query))
        exchange.path = <str>environ[PATH]
        if flags & HAS_MOUNT and not exchange.asterisk and not take_mount(environ):
            return OTHER_MOUNT
        PyDict_SetItem(environ, ADDRESS, connection.address)
        PyDict_SetItem(environ, PORT, connection.port)
        if head.version == 10:
            PyDict_SetItem(environ, PROTOCOL, HTTP10)
            exchange.http10 = True
            exchange.keep_alive = flags & SAYS_KEEP_ALIVE != 0 and flags & SAYS_CLOSE == 0
        else:
            exchange.keep_alive = flags & SAYS_CLOSE == 0
            exchange.expects_continue = flags & EXPECTS_CONTINUE != 0
        exchange.peer_closes = not exchange.keep_alive
        exchange.has_chunks = flags & IS_CHUNKED != 0
        if exchange.has_chunks or head.facts.content_length > 0:
            exchange.body = Body.__new__(Body)
            if not exchange.has_chunks:
                exchange.body_left = <uint64_t>head.facts.content_length
            PyDict_SetItem(environ, INPUT, exchange.body)
        if host.id_line is not None:
            self._name(exchange, environ)
        if host.access is not None:
            exchange.began_ns = monotonic_ns()
            exchange.began = clock_ns(CLOCK_REALTIME) / 1e9
        self.exchange = exchange
        return DONE

    cdef int _name(self, WSGIExchange exchange, dict environ) except -1:
        """Tells the application the request's id; makes one if no trusted peer has."""
        cdef char[ID_ROOM] text
        cdef int size
        if exchange.name is None:
            size = snprintf(
                text, sizeof(text), "%s%x-%x",
                PyBytes_AS_STRING(self.id_prefix), exchange.connection.serial, exchange.number,
            )
            exchange.name = PyUnicode_DecodeLatin1(text, size, NULL)
        PyDict_SetItem(environ, self.id_key, exchange.name)
        return PyDict_SetItem(environ, REQUEST_ID, exchange.name)

    cdef int _unescape(self, const uint8_t* data, uint32_t size, dict environ) except? -9999:
        cdef bytes large
        cdef uint8_t* room = self.path_room
        cdef int length
        if size > PATH_ROOM:
            large = PyBytes_FromStringAndSize(NULL, size)
            room = <uint8_t*>PyBytes_AS_STRING(large)
        length = unescape_path(data, size, room)
        if length >= 0:
            PyDict_SetItem(environ, PATH, PyUnicode_DecodeLatin1(<const char*>room, length, NULL))
        return length

    # Calling the application

    cdef int run(self, Exchange exchange) except -1:
        cdef WSGIExchange call = <WSGIExchange>exchange
        result = None
        try:
            if call.asterisk:
                return self._answer_asterisk(call)
            result = self.app(call.environ, call)
            if PyList_CheckExact(result) or PyTuple_CheckExact(result):
                self._respond_pieces(call, result)
            else:
                try:
                    self._respond(call, result)
                    call.end()      # before close(): it may take its time, and the peer need not wait for it
                finally:
                    close = getattr(result, "close", None)
                    if close is not None:
                        # It may take its time. Should we lose the baton meanwhile, the next leader does this.
                        if not call.abandoned and not call.host.leads(call.thread):
                            flush_beside(call.host, call.thread, call.connection)
                        close()
            call.end()
        except BaseException:
            call.leave()
            stop_if_forked()
            self._report(call, result)
            call.fail()
        return 0

    cdef object _report(self, WSGIExchange call, object result):
        """The application has raised. If that is because its peer left, nobody needs to hear of it."""
        if call.connection.broken:
            call.host.log.debug(
                "%s %s: the peer left before the end of the response", call.method, call.target, exc_info=True
            )
        elif callable(result) and not hasattr(result, "__iter__"):
            # A factory that takes two arguments, all with defaults, looks like an application until it is called.
            call.host.log.error(
                "Error handling request %s %s: the application returned no response but a callable of type %r; if it "
                "is a factory, name its call, as in 'app:create_app()'",
                call.method, call.target, type(result).__name__, exc_info=True,
            )
        else:
            call.host.log.error("Error handling request %s %s", call.method, call.target, exc_info=True)

    cdef int _answer_asterisk(self, WSGIExchange call) except -1:
        """OPTIONS * asks about the server, not about the application (RFC 9110 section 9.3.7)."""
        call.begin("204 No Content", [("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")])
        call.send_head(0)
        return call.end()

    cdef int _respond_pieces(self, WSGIExchange call, object pieces) except -1:
        """A body that is all there: its length is known, and nothing of it needs the application any more."""
        cdef int64_t total = 0
        cdef bytes only
        require_start(call)
        if len(pieces) == 1:
            only = as_bytes(pieces[0])
            if not call.head_sent:
                call.send_head(PyBytes_GET_SIZE(only))
            return call.write_body(only)
        pieces = [as_bytes(piece) for piece in pieces]
        for piece in pieces:
            total += PyBytes_GET_SIZE(piece)
        if not call.head_sent:
            call.send_head(total)
        for piece in pieces:
            call.write_body(<bytes>piece)
        return 0

    cdef int _respond(self, WSGIExchange call, object result) except -1:
        """A body that is pulled from the application piece by piece, each sent before the next is asked for (PEP 3333,
        "Buffering and Streaming")."""
        cdef bytes piece
        if type(result) is FileWrapper and self._respond_file(call, <FileWrapper>result):
            return 0
        for block in result:
            piece = as_bytes(block)
            if PyBytes_GET_SIZE(piece) == 0:
                continue
            if not call.head_sent:
                require_start(call)
                call.send_head(-1)
            call.write_body(piece)
            # The last piece by the application's own count waits for the end, which comes at once, and leaves together
            # with what else is ready for this peer.
            if call.sent != call.verdict.content_length:
                call.flush()
            if call.is_told():
                return 0
        require_start(call)
        return 0

    cdef bint _respond_file(self, WSGIExchange call, FileWrapper wrapper) except -1:
        """Hands a real file to the kernel. False when it is none."""
        cdef stat_t facts
        cdef int fd
        cdef long offset
        try:
            plain = type(getattr(wrapper.filelike, "raw", wrapper.filelike)) is io.FileIO   # not gzip and its like
            fd = wrapper.filelike.fileno()
            offset = wrapper.filelike.tell()
        except (AttributeError, OSError, TypeError, ValueError):
            return False
        # What /proc and /sys show has no blocks and no true size.
        if not plain or fstat(fd, &facts) < 0 or not S_ISREG(facts.st_mode) or facts.st_blocks == 0:
            return False
        require_start(call)
        cdef int64_t size = max(facts.st_size - offset, 0)
        if call.verdict.content_length >= 0:
            size = min(size, call.verdict.content_length)
        if not call.head_sent:
            call.send_head(size)
        if call.sends_chunks:
            return False        # write() was used before: the rest goes by blocks
        try:
            call.send_file(fd, offset, size)
        except OSError as error:
            if error.errno not in NO_DESCRIPTOR:
                raise
            call.verdict.content_length = size      # it was promised
            return False
        return True


cdef inline str text_of(const uint8_t* data, const Span* span):
    return PyUnicode_DecodeLatin1(<const char*>data + span.start, span.length, NULL)


cdef bint take_mount(dict environ) except -1:
    """Takes SCRIPT_NAME off PATH_INFO. False if that does not begin with it, as a path of its own."""
    cdef str mount = environ[MOUNT], path = environ[PATH]
    if not path.startswith(mount) or path[len(mount):len(mount) + 1] not in ("", "/"):
        return False
    environ[PATH] = path[len(mount):]
    return True


cdef int require_start(WSGIExchange call) except -1:
    if not call.started:
        raise AssertionError("the application returned or yielded before it called start_response")
    return 0


cdef str method_name(const uint8_t* data, uint32_t size):
    if size == 3 and data[0] == c"G" and data[1] == c"E" and data[2] == c"T":
        return GET
    if size == 4 and data[0] == c"P" and data[1] == c"O" and data[2] == c"S" and data[3] == c"T":
        return POST
    if size == 4 and data[0] == c"H" and data[1] == c"E" and data[2] == c"A" and data[3] == c"D":
        return HEAD
    return PyUnicode_DecodeLatin1(<const char*>data, size, NULL)

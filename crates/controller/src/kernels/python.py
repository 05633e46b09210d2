# Runs one piece of code after the other in one namespace, for a context. agent.proto says how it is spoken to.
import ast, asyncio, base64, builtins, io, inspect, json, linecache, os, resource, signal, sys, time, traceback, types

link = os.dup(0)
null = os.open(os.devnull, os.O_RDONLY)
os.dup2(null, 0)
os.close(null)
sys.stdin = open(0, closefd=False)
sys.stdout.reconfigure(line_buffering=True)

main = types.ModuleType("__main__")
main.__builtins__ = builtins
sys.modules["__main__"] = main
sys.argv = [""]
sys.path.insert(0, "")
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)

RICH = {
    "text/html": "_repr_html_",
    "text/markdown": "_repr_markdown_",
    "text/latex": "_repr_latex_",
    "image/svg+xml": "_repr_svg_",
    "image/png": "_repr_png_",
    "image/jpeg": "_repr_jpeg_",
    "application/json": "_repr_json_",
}


def read(count):
    data = b""
    while len(data) < count:
        piece = os.read(link, count - len(data))
        if not piece:
            sys.exit(0)
        data += piece
    return data


def write(data):
    view = memoryview(data)
    while view:
        view = view[os.write(link, view):]


def tell(result):
    body = json.dumps(result).encode("utf-8", "replace")
    write(b"R %d\n" % len(body) + body)


def text(value):
    try:
        return repr(value)
    except Exception as error:
        return "<%s whose repr failed: %s>" % (type(value).__name__, type(error).__name__)


def bundle(value):
    data = {"text/plain": text(value)}
    if isinstance(value, type):
        return data
    for kind, method in RICH.items():
        try:
            made = getattr(value, method)()
        except Exception:
            continue
        # Some answer with metadata beside.
        made = made[0] if isinstance(made, tuple) else made
        if isinstance(made, bytes):
            made = base64.b64encode(made).decode()
        if made is not None:
            data[kind] = made
    return data


def display(*values):
    """Shows values as rich results, in between."""
    for value in values:
        sys.stdout.flush()
        tell({"type": "display", "data": bundle(value)})


def show_figures():
    pyplot = sys.modules.get("matplotlib.pyplot")
    for number in pyplot.get_fignums() if pyplot else []:
        figure, image = pyplot.figure(number), io.BytesIO()
        figure.savefig(image, format="png", bbox_inches="tight")
        data = {"text/plain": text(figure), "image/png": base64.b64encode(image.getvalue()).decode()}
        tell({"type": "display", "data": data})
        pyplot.close(figure)


def run(code, flags):
    made = eval(compile_as(code, *flags), main.__dict__)
    return loop.run_until_complete(made) if inspect.iscoroutine(made) else made


def compile_as(tree, name, mode):
    return compile(tree, name, mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def execute(source, name):
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    body = compile(source, name, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    if body:
        run(ast.Module(body, []), (name, "exec"))
    if last is not None:
        value = run(ast.Expression(last.value), (name, "eval"))
        if value is not None:
            main._ = value
            tell({"type": "result", "data": bundle(value)})
    show_figures()


def failed(error):
    # Without the frames of this program.
    frames = error.__traceback__
    while frames and frames.tb_frame.f_code.co_filename == "<string>":
        frames = frames.tb_next
    lines = "".join(traceback.format_exception(type(error), error, frames))
    sys.stderr.write(lines)
    tell({"type": "error", "name": type(error).__name__, "value": str(error), "traceback": lines})
    return 1


def attempt(source, name):
    try:
        # An interrupt means the code, and nothing else.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        execute(source, name)
        return 0
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write("%s\n" % (end.code,))
        return 1
    except BaseException as error:
        return failed(error)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def serve():
    number = 0
    while True:
        head = b""
        while not head.endswith(b"\n"):
            head += read(1)
        source = read(int(head)).decode("utf-8", "replace")
        number += 1
        before = time.process_time()
        code = attempt(source, "<code %d>" % number)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass
        cpu = int((time.process_time() - before) * 1e6)
        write(b"E %d %d %d\n" % (code, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))


main.display = display
os.environ.setdefault("MPLBACKEND", "agg")
signal.signal(signal.SIGINT, signal.SIG_IGN)
serve()

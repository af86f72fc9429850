"""`standing-node serve`."""

from standing.ledger.service import logs
from standing.ledger.service.commands import Config, one_line_errors
from standing.ledger.service.serve import listener
from standing.ledger.service.serve import serve as serve_app
from standing.ledger.service.settings import load
from standing.node.app import create_app
from standing.node.composition import build, read_secrets
from standing.node.settings import NodeSettings


def serve(config: Config = None) -> None:
    """Run the node until it is stopped. SIGHUP reloads the API keys."""
    with one_line_errors():
        settings = load(NodeSettings, config)
        logs.configure(settings.log_level)
        with listener(settings.listen_host, settings.listen_port) as taken:
            node = build(settings, read_secrets(settings))
            app = create_app(node, lambda: load(NodeSettings, config))
            app.state.reloader.on_hangup()
            serve_app(app, taken)

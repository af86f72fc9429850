"""`standing-gateway serve`."""

from standing.gateway.app import create_app
from standing.gateway.settings import GatewaySettings
from standing.ledger.service import logs
from standing.ledger.service.commands import Config, one_line_errors
from standing.ledger.service.serve import listener
from standing.ledger.service.serve import serve as serve_app
from standing.ledger.service.settings import load


def serve(config: Config = None) -> None:
    """Run the gateway until it is told to stop. SIGHUP: read API keys, banks and policy again."""
    with one_line_errors():
        settings = load(GatewaySettings, config)
        logs.configure(settings.log_level)
        with listener(settings.listen_host, settings.listen_port) as taken:
            app = create_app(settings, read_again=lambda: load(GatewaySettings, config))
            app.state.reloader.on_hangup()
            serve_app(app, taken)

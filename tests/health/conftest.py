from tests.notifications.conftest import mail_server, shared_mail_server

__all__ = ["mail_server", "shared_mail_server"]

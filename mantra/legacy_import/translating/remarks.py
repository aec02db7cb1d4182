"""What a person must know about a translated definition: kinds with stable codes, and sentences."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from django.utils.translation import gettext

from dataservices.sql.messages import gettext_noop

#: Characters of each value in a sentence.
MAX_ARGUMENT = 80


class Severity(StrEnum):
    """What became of the part that a remark is about. The order is that of their weight."""

    TAKEN = "taken"
    CHANGED = "changed"
    PERSON = "person"
    REFUSED = "refused"

    @property
    def weight(self) -> int:
        return list(Severity).index(self)


_TAKEN, _CHANGED, _PERSON, _REFUSED = Severity
#: An operation with such a remark stays a draft.
_DRAFT = True


class Kind(Enum):
    """The kinds of remarks: a code that never changes, the severity, the sentence, and whether it makes a draft."""

    # ----------------------------------------------------------------------------- any definition
    UNREADABLE = (
        "unreadable", _REFUSED,
        gettext_noop("The definition is neither JSON nor a query string with the names of MANTRA 1.99x."),
    )  # fmt: skip
    TOO_LONG = (
        "too-long", _REFUSED,
        gettext_noop("%(what)s has more than %(most)s characters."),
    )  # fmt: skip
    TOO_MANY_PARAMETERS = (
        "too-many-parameters", _REFUSED,
        gettext_noop("The operation has more than %(most)s parameters."),
    )  # fmt: skip
    LATIN1 = (
        "latin1", _CHANGED,
        gettext_noop("The definition is not UTF-8 and was read as ISO-8859-1. Compare its letters with accents."),
    )  # fmt: skip
    VALUE_LOST = (
        "value-lost", _PERSON,
        gettext_noop("MANTRA 1.99x has lost the value of %(name)s, which was not UTF-8."),
        _DRAFT,
    )  # fmt: skip
    UNKNOWN_KIND = (
        "unknown-kind", _PERSON,
        gettext_noop("MANTRA 1.99x runs operations of the type %(kind)s as programs."),
    )  # fmt: skip
    PARAMETER_RENAMED = (
        "parameter-renamed", _CHANGED,
        gettext_noop("The parameter %(old)s is %(new)s here. Programs for MANTRA 1.99x go on sending %(old)s."),
    )  # fmt: skip
    PARAMETER_NAME_LOST = (
        "parameter-name-lost", _PERSON,
        gettext_noop("Programs for MANTRA 1.99x cannot send the name %(old)s: the parameter is %(new)s here."),
        _DRAFT,
    )  # fmt: skip
    NAME_CHANGED = (
        "name-changed", _CHANGED,
        gettext_noop("%(old)s has the code %(new)s here. Old addresses with %(old)s still work."),
    )  # fmt: skip
    NAME_LOST = (
        "name-lost", _PERSON,
        gettext_noop("%(old)s has the code %(new)s here. Old addresses with %(old)s do not work: tell the callers."),
    )  # fmt: skip

    # ------------------------------------------------------------------------------------ sources
    LOCALHOST = (
        "localhost", _PERSON,
        gettext_noop("The definition says %(host)s, which is the old server itself. Enter the real address."),
        _DRAFT,
    )  # fmt: skip
    MISSING_SETTING = (
        "missing-setting", _PERSON,
        gettext_noop("The definition has no value for %(setting)s. Enter it in the data source."),
        _DRAFT,
    )  # fmt: skip
    NAMED_INSTANCE = (
        "named-instance", _PERSON,
        gettext_noop(
            "The definition names the instance %(instance)s without a port. If the host does not report the port on "
            "UDP 1434, enter it."
        ),
    )  # fmt: skip
    SQLSERVER_OR_SYBASE = (
        "sqlserver-or-sybase", _PERSON,
        gettext_noop("MANTRA 1.99x used one driver for SQL Server and Sybase. Choose Sybase if the server is one."),
    )  # fmt: skip
    UNUSUAL_PORT = (
        "unusual-port", _PERSON,
        gettext_noop("The old form suggested port %(port)s. Try %(usual)s if the server does not respond there."),
    )  # fmt: skip
    PORT_TWICE = (
        "port-twice", _PERSON,
        gettext_noop("The definition has the ports %(first)s and %(second)s. The data source has %(first)s."),
    )  # fmt: skip
    PORT_UNUSABLE = (
        "port-unusable", _PERSON,
        gettext_noop("The port of the definition is not a number up to 65535. The data source has the usual port."),
    )  # fmt: skip
    POWERFUL_ACCOUNT = (
        "powerful-account", _PERSON,
        gettext_noop("The account %(user)s has every right. Let the database have an account that can only read."),
    )  # fmt: skip
    PASSWORD_LOST = (
        "password-lost", _PERSON,
        gettext_noop("MANTRA 1.99x has lost the password, which was not UTF-8. Enter it in the data source."),
    )  # fmt: skip
    ORACLE_NAME = (
        "oracle-name", _PERSON,
        gettext_noop("%(name)s is entered as service name. If Oracle does not know it, it is the SID."),
    )  # fmt: skip
    TNS_NAME = (
        "tns-name", _PERSON,
        gettext_noop("The definition has a connect string, or a name in a tnsnames.ora of the old server."),
    )  # fmt: skip
    UNKNOWN_ENGINE = (
        "unknown-engine", _REFUSED,
        gettext_noop("MANTRA 1.99x knew no database of the type %(engine)s."),
    )  # fmt: skip
    SYSTEM_DATABASE = (
        "system-database", _REFUSED,
        gettext_noop("The database %(database)s is the server's own."),
    )  # fmt: skip

    # ---------------------------------------------------------------------------- data operations
    NO_TABLE = (
        "no-table", _REFUSED,
        gettext_noop("The definition has no table."),
    )  # fmt: skip
    LETTERS_STRIPPED = (
        "letters-stripped", _REFUSED,
        gettext_noop(
            "The name %(name)s is not in quotation marks. MANTRA 1.99x takes letters away from such a name, so that "
            "the operation always failed."
        ),
    )  # fmt: skip
    ALL_COLUMNS = (
        "all-columns", _TAKEN,
        gettext_noop("All columns go out, also those that the table gets later. List the columns that are meant."),
    )  # fmt: skip
    LIMITS = (
        "limits", _TAKEN,
        gettext_noop("MANTRA 1.99x had no limits. Here a response has at most %(rows)s rows, in %(seconds)s seconds."),
    )  # fmt: skip
    TIME_LIMIT = (
        "time-limit", _TAKEN,
        gettext_noop("MANTRA 1.99x had no time limit. Here a call ends after %(seconds)s seconds."),
    )  # fmt: skip
    LIMIT_UNUSED = (
        "limit-unused", _TAKEN,
        gettext_noop("The definition has a limit, which had no effect with this database. It is not imported."),
    )  # fmt: skip
    LIMIT_UNCLEAR = (
        "limit-unclear", _PERSON,
        gettext_noop("The limit of the definition is not a number, or has an offset only. It is not imported."),
        _DRAFT,
    )  # fmt: skip
    CONDITIONS_IGNORED = (
        "conditions-ignored", _PERSON,
        gettext_noop("MANTRA 1.99x ignored the conditions, as WHERE is missing, and returned the whole table."),
        _DRAFT,
    )  # fmt: skip
    CONDITION_UNCLEAR = (
        "condition-unclear", _PERSON,
        gettext_noop("Condition %(number)s is not of the form that MANTRA 1.99x wrote. Check it."),
        _DRAFT,
    )  # fmt: skip
    COLUMN_TWICE = (
        "column-twice", _PERSON,
        gettext_noop("%(name)s is a parameter in two conditions, so that MANTRA 1.99x always failed. Here it is two."),
        _DRAFT,
    )  # fmt: skip
    QUESTION_MARK = (
        "question-mark", _PERSON,
        gettext_noop("Condition %(number)s has a question mark, so that MANTRA 1.99x always failed. Check it."),
        _DRAFT,
    )  # fmt: skip
    QUALIFIED_TABLE = (
        "qualified-table", _PERSON,
        gettext_noop("%(name)s is one name for MANTRA 1.99x, which then finds no table. Write schema and table apart."),
        _DRAFT,
    )  # fmt: skip
    SQL_REFUSED = (
        "sql-refused", _PERSON,
        gettext_noop("The SQL of the definition is not allowed here (%(reason)s). It is in the draft as a comment."),
        _DRAFT,
    )  # fmt: skip

    # --------------------------------------------------------------------------- proxy operations
    UNKNOWN_STYLE = (
        "unknown-style", _REFUSED,
        gettext_noop("MANTRA 1.99x knew no web service of the type %(style)s and returned 10017."),
    )  # fmt: skip
    NO_ENDPOINT = (
        "no-endpoint", _PERSON,
        gettext_noop("The definition has no usable address, so that MANTRA 1.99x always failed."),
        _DRAFT,
    )  # fmt: skip
    SCHEME_ADDED = (
        "scheme-added", _CHANGED,
        gettext_noop("The address was without http://, which MANTRA 1.99x added."),
    )  # fmt: skip
    ENDPOINT_QUERY = (
        "endpoint-query", _PERSON,
        gettext_noop("The address has a query, and MANTRA 1.99x wrote the path behind it. Check what is sent."),
        _DRAFT,
    )  # fmt: skip
    ENDPOINT_CREDENTIAL = (
        "endpoint-credential", _CHANGED,
        gettext_noop("The address had a user and a password. They are the credential of the backend now."),
    )  # fmt: skip
    CREDENTIAL_UNUSABLE = (
        "credential-unusable", _PERSON,
        gettext_noop("The access key for the upstream cannot be sent as it is. Enter it in the backend."),
        _DRAFT,
    )  # fmt: skip
    KEY_NOT_SENT = (
        "key-not-sent", _TAKEN,
        gettext_noop("MANTRA 1.99x never sent the access key of a SOAP service. It is not imported."),
    )  # fmt: skip
    CONSTANT_QUOTED = (
        "constant-quoted", _TAKEN,
        gettext_noop("The fixed value of %(name)s is sent with its quotation marks, as MANTRA 1.99x sent it."),
    )  # fmt: skip
    EQUALS_REMOVED = (
        "equals-removed", _TAKEN,
        gettext_noop("The fixed value of %(name)s is sent without its equals signs, as MANTRA 1.99x sent it."),
    )  # fmt: skip
    REQUEST_UNCLEAR = (
        "request-unclear", _PERSON,
        gettext_noop("Parameter %(number)s is not of the form name:type=value. A comma or colon may have cut it."),
        _DRAFT,
    )  # fmt: skip
    NAME_REPEATED = (
        "name-repeated", _TAKEN,
        gettext_noop("The definition has %(name)s more than once. As in MANTRA 1.99x the last one counts."),
    )  # fmt: skip
    NAMES_BY_CASE = (
        "names-by-case", _PERSON,
        gettext_noop("Two parameters are called %(name)s and differ in capital letters only."),
        _DRAFT,
    )  # fmt: skip
    SOAP_PATH = (
        "soap-path", _PERSON,
        gettext_noop("The name of the SOAP operation is not of the form name#depth#block."),
        _DRAFT,
    )  # fmt: skip

    # ----------------------------------------------------------------------------------- programs
    PROGRAM = (
        "program", _PERSON,
        gettext_noop("Programs do not run here. Write the SQL of what it does; its text is in the description."),
        _DRAFT,
    )  # fmt: skip
    PROGRAM_EMPTY = (
        "program-empty", _PERSON,
        gettext_noop("The program has no text."),
        _DRAFT,
    )  # fmt: skip
    PROGRAM_CUT = (
        "program-cut", _PERSON,
        gettext_noop("Only the first %(most)s characters of the program are in the description."),
    )  # fmt: skip
    PROGRAM_SECRETS = (
        "program-secrets", _PERSON,
        gettext_noop("Passwords and connection data in the program are replaced by ••• in the description."),
    )  # fmt: skip
    PROGRAM_SQL = (
        "program-sql", _PERSON,
        gettext_noop("%(count)s statements were found in the program. They are in the draft as comments."),
    )  # fmt: skip
    PROGRAM_WRITES = (
        "program-writes", _PERSON,
        gettext_noop(
            "The program changes data. Mark the operation so. Its callers then get the number of changed rows, and "
            "no longer what the program wrote, such as OK."
        ),
    )  # fmt: skip
    PROGRAM_CALLS = (
        "program-calls", _PERSON,
        gettext_noop("The program calls %(name)s. If it reads from another system, make a proxy operation."),
    )  # fmt: skip
    PROGRAM_CONSTANT = (
        "program-constant", _PERSON,
        gettext_noop("%(name)s has a fixed value in the program's parameters. Write it into the SQL."),
    )  # fmt: skip
    PROGRAM_RESULT = (
        "program-result", _PERSON,
        gettext_noop("The program's numbers were numbers in responses. Those of a data operation are texts there."),
    )  # fmt: skip

    # --------------------------------------------------------------------------------------- rows
    ROW_EXISTS = (
        "row-exists", _TAKEN,
        gettext_noop("A row with this code was here already. It is not changed."),
    )  # fmt: skip
    DELETED_HERE = (
        "deleted-here", _TAKEN,
        gettext_noop("The row was deleted here, and is not made again."),
    )  # fmt: skip
    RULE = (
        "rule", _REFUSED,
        gettext_noop("A rule is broken: %(rule)s"),
    )  # fmt: skip
    TEXT_CUT = (
        "text-cut", _CHANGED,
        gettext_noop("A text is longer than %(most)s characters. The rest is not taken."),
    )  # fmt: skip
    SYSTEM_AGENCY = (
        "system-agency", _TAKEN,
        gettext_noop("The home of administrators is no agency here."),
    )  # fmt: skip
    WEBSITE_INVALID = (
        "website-invalid", _CHANGED,
        gettext_noop("The website is no address and is not taken."),
    )  # fmt: skip
    EMAIL_INVALID = (
        "email-invalid", _CHANGED,
        gettext_noop("The e-mail address is none and is not taken."),
    )  # fmt: skip
    EMAIL_CUT = (
        "email-cut", _CHANGED,
        gettext_noop("Of several e-mail addresses the first one is taken."),
    )  # fmt: skip
    EMAIL_TAKEN = (
        "email-taken", _PERSON,
        gettext_noop("Another user has this e-mail address. Enter another one."),
    )  # fmt: skip
    WITHOUT_AGENCY = (
        "without-agency", _REFUSED,
        gettext_noop("Its agency was not taken."),
    )  # fmt: skip
    WITHOUT_SERVICE = (
        "without-service", _REFUSED,
        gettext_noop("Its service was not taken."),
    )  # fmt: skip
    SOURCE_REFUSED = (
        "source-refused", _REFUSED,
        gettext_noop("Its data source breaks a rule, such as an address that no source may have."),
    )  # fmt: skip
    BACKEND_REFUSED = (
        "backend-refused", _REFUSED,
        gettext_noop("Its backend breaks a rule, such as an address that is not allowed."),
    )  # fmt: skip
    USER_EXISTS = (
        "user-exists", _TAKEN,
        gettext_noop("A user with this name was here already. It is not changed."),
    )  # fmt: skip
    USERNAME_CHANGED = (
        "username-changed", _CHANGED,
        gettext_noop("%(old)s signs in as %(new)s here: a user's name has letters, digits and @ . + - _ only."),
    )  # fmt: skip
    ROLE_WITHOUT_RIGHTS = (
        "role-without-rights", _CHANGED,
        gettext_noop("The role %(role)s had no rights. The user is taken without a role and cannot sign in."),
    )  # fmt: skip
    ROLE_NEEDS_AGENCY = (
        "role-needs-agency", _PERSON,
        gettext_noop("The role %(role)s needs an agency. Choose one, and the role."),
    )  # fmt: skip
    ADMINISTRATOR_INACTIVE = (
        "administrator-inactive", _PERSON,
        gettext_noop("Administrators cannot sign in until an administrator here activates them."),
    )  # fmt: skip
    PASSWORD_RESET = (
        "password-reset", _PERSON,
        gettext_noop("The password cannot be imported. The user must choose another one by a link in an e-mail."),
    )  # fmt: skip
    USER_WITHOUT_AGENCY = (
        "user-without-agency", _PERSON,
        gettext_noop("The user belongs to no agency, so there is no application for the key."),
    )  # fmt: skip
    ORDER_CLOSED = (
        "order-closed", _TAKEN,
        gettext_noop("The key was never approved, or was closed again. It opens nothing here."),
    )  # fmt: skip
    ORDER_ORPHANED = (
        "order-orphaned", _REFUSED,
        gettext_noop("Its user or its operation does not exist or was not taken."),
    )  # fmt: skip
    ORDER_REPEATED = (
        "order-repeated", _TAKEN,
        gettext_noop("Another row has the same user, operation and key."),
    )  # fmt: skip
    KEY_UNUSABLE = (
        "key-unusable", _PERSON,
        gettext_noop("The key has fewer than 8 characters, or other characters than letters, digits and signs."),
    )  # fmt: skip
    KEY_OF_OTHERS = (
        "key-of-others", _PERSON,
        gettext_noop("Several users have this key. It belongs to the first one's application: issue a new one."),
    )  # fmt: skip
    KEY_SHARED = (
        "key-shared", _CHANGED,
        gettext_noop("One key opens several operations. It has an application of its own, with a grant for each."),
    )  # fmt: skip

    KEY_IN_PATH = (
        "key-in-path", _CHANGED,
        gettext_noop("The key is allowed in addresses, where logs record it. Switch it off when no program needs it."),
    )  # fmt: skip
    KEY_WRAPPED = (
        "key-wrapped", _CHANGED,
        gettext_noop("Responses to the key are wrapped, for programs with APP_ENC."),
    )  # fmt: skip

    # -------------------------------------------------------------------------------- the reading
    OTHER_ENCODING = (
        "other-encoding", _CHANGED,
        gettext_noop("The text in %(column)s is not in the character set of its database. Check letters with accents."),
    )  # fmt: skip
    LONG_TEXT = (
        "long-text", _PERSON,
        gettext_noop("The text in %(column)s is longer than 1 MiB. Only its beginning was read."),
    )  # fmt: skip
    NO_NUMBER = (
        "no-number", _PERSON,
        gettext_noop("There is no number in %(column)s, so that the row belongs to nothing."),
    )  # fmt: skip
    ID_REPEATED = (
        "id-repeated", _PERSON,
        gettext_noop("The dump has another row with the same id, which is not taken."),
    )  # fmt: skip

    severity: Severity
    sentence: str
    makes_draft: bool

    def __new__(cls, code: str, severity: Severity, sentence: str, draft: bool = False) -> Kind:
        kind = object.__new__(cls)
        kind._value_ = code
        kind.severity, kind.sentence, kind.makes_draft = severity, sentence, draft
        return kind


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that a person must know. The arguments are bounded, and never secrets or data."""

    kind: Kind
    arguments: tuple[tuple[str, str], ...] = ()

    @property
    def severity(self) -> Severity:
        return self.kind.severity

    def text(self) -> str:
        """Return the sentence in the active language."""
        return gettext(self.kind.sentence) % dict(self.arguments)


def remark(kind: Kind, /, **arguments: object) -> Remark:
    """Return a remark with its arguments as short, printable texts."""
    return Remark(kind, tuple((name, _shown(str(value))) for name, value in arguments.items()))


def _shown(text: str) -> str:
    printable = "".join(letter if letter.isprintable() else "�" for letter in text[: MAX_ARGUMENT + 1])
    return printable if len(printable) <= MAX_ARGUMENT else printable[: MAX_ARGUMENT - 1] + "…"


class Refused(Exception):
    """A definition of which nothing can be made."""

    def __init__(self, kind: Kind, /, **arguments: object) -> None:
        super().__init__(kind.value)
        self.remark = remark(kind, **arguments)

"""Texts with a made-up credential each, and texts that only look so. No value was ever anybody's.

The values are put together here when the tests run, so that no scanner finds one in the repository.
"""

from __future__ import annotations

import base64
import random
import string

_LOT = random.Random(12)
_LETTERS = string.ascii_letters + string.digits


def _lot(length: int, among: str = _LETTERS) -> str:
    """Draw a value, with a digit and a letter in it."""
    return "7" + "".join(_LOT.choice(among) for _ in range(length - 2)) + among[0]


def _hex(length: int) -> str:
    return _lot(length, "abcdef0123456789")


def _json_web_token() -> str:
    parts = (f'{{"alg":"HS256","typ":"JWT","kid":"{_lot(6)}"}}', f'{{"sub":"{_lot(9)}"}}')
    return ".".join([*(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts), _lot(43)])


def _private_key(kind: str) -> str:
    lines = "\n".join(_lot(64, _LETTERS + "+/") for _ in range(4))
    return f"-----{'BEGIN'} {kind}-----\n{lines}\n-----{'END'} {kind}-----"


_TOKENS = {
    "Anthropic": ("sk-" + "ant-api03-", 80, _LETTERS + "-_"),
    "OpenAI, project": ("sk-" + "proj-", 70, _LETTERS + "-_"),
    "OpenAI, old": ("sk" + "-", 48, _LETTERS),
    "OpenRouter": ("sk-" + "or-v1-", 64, "abcdef0123456789"),
    "Hugging Face": ("hf" + "_", 34, _LETTERS),
    "Stripe": ("sk_" + "live_", 24, _LETTERS),
    "Stripe, restricted": ("rk_" + "live_", 24, _LETTERS),
    "Stripe, test": ("sk_" + "test_", 24, _LETTERS),
    "Stripe, webhook": ("whsec" + "_", 32, _LETTERS),
    "npm": ("npm" + "_", 36, _LETTERS),
    "PyPI": ("pypi" + "-AgEIcHlwaS5vcmc", 120, _LETTERS + "-_"),
    "GitHub": ("ghp" + "_", 36, _LETTERS),
    "GitHub, OAuth": ("gho" + "_", 36, _LETTERS),
    "GitHub, server": ("ghs" + "_", 36, _LETTERS),
    "GitHub, fine-grained": ("github" + "_pat_", 82, _LETTERS + "_"),
    "GitLab": ("glpat" + "-", 20, _LETTERS + "-_"),
    "GitLab, deploy": ("gldt" + "-", 20, _LETTERS + "-_"),
    "GitLab, runner": ("glrt" + "-", 20, _LETTERS + "-_"),
    "Slack, bot": ("xoxb" + "-1234567890-", 24, _LETTERS),
    "Slack, user": ("xoxp" + "-1234567890-", 32, _LETTERS),
    "Slack, app": ("xapp" + "-1-A0B1C2D3E-", 40, _LETTERS),
    "AWS": ("AK" + "IA", 16, "ABCDEFGHJKLMNPQRSTUVWXYZ234567"),
    "AWS, temporary": ("AS" + "IA", 16, "ABCDEFGHJKLMNPQRSTUVWXYZ234567"),
    "Google": ("AI" + "za", 35, _LETTERS + "-_"),
    "Google, OAuth": ("ya29" + ".", 60, _LETTERS + "-_"),
    "Google, client": ("GOCSPX" + "-", 28, _LETTERS + "-_"),
    "SendGrid": ("S" + "G." + "aB3dE5gH7jK9mN1pQ2rS4t.", 43, _LETTERS),
    "DigitalOcean": ("dop" + "_v1_", 64, "abcdef0123456789"),
    "Databricks": ("dap" + "i", 32, "abcdef0123456789"),
    "Docker": ("dckr" + "_pat_", 27, _LETTERS + "-_"),
    "HashiCorp Vault": ("hvs" + ".", 90, _LETTERS),
    "Grafana": ("glsa" + "_", 41, _LETTERS),
    "Groq": ("gsk" + "_", 52, _LETTERS),
    "Replicate": ("r8" + "_", 37, _LETTERS),
    "xAI": ("xai" + "-", 80, _LETTERS),
    "Perplexity": ("pplx" + "-", 48, _LETTERS),
    "LangSmith": ("lsv2" + "_pt_", 43, "abcdef0123456789"),
    "Tavily": ("tvly" + "-", 32, _LETTERS),
    "Shopify": ("shpat" + "_", 32, "abcdef0123456789"),
    "Square": ("sq0" + "atp-", 22, _LETTERS),
    "Postman": ("PMAK" + "-", 59, "abcdef0123456789"),
    "New Relic": ("NRAK" + "-", 27, "ABCDEFGH0123456789"),
    "Linear": ("lin_" + "api_", 40, _LETTERS),
    "Figma": ("fig" + "d_", 40, _LETTERS + "-_"),
    "Notion": ("ntn" + "_", 43, _LETTERS),
    "Supabase": ("sbp" + "_", 40, "abcdef0123456789"),
    "Sentry": ("sntrys" + "_", 80, _LETTERS),
    "RubyGems": ("ruby" + "gems_", 48, "abcdef0123456789"),
    "Atlassian": ("ATATT3" + "x", 100, _LETTERS),
    "NVIDIA": ("nv" + "api-", 64, _LETTERS + "-_"),
    "Brevo": ("xkey" + "sib-", 64, "abcdef0123456789"),
    "CircleCI": ("CCI" + "PAT_", 60, _LETTERS),
    "Fly": ("fm" + "2_", 90, _LETTERS),
    "Airtable": ("pat" + "aB3dE5gH7jK9mN.", 64, "abcdef0123456789"),
    "Terraform": ("aB3dE5gH7jK9mN" + ".atlasv1.", 60, _LETTERS),
    "Mapbox": ("sk" + ".eyJ1Ijoiaa7aaaaaaaaaaaaaaaaa.", 22, _LETTERS),
    "Dropbox": ("sl" + ".", 130, _LETTERS + "-_"),
    "Square, production": ("EA" + "AA", 60, _LETTERS),
    "Fireworks": ("fw" + "_", 24, _LETTERS),
    "Tailscale": ("tskey" + "-auth-", 40, _LETTERS),
}
_AROUND = ("The key is {}.", "key='{}'", 'client = Client("{}")', "{}", "[{}](x)", "a\n{}\nb", '{{"a": "x\\n{}\\n"}}')

_PASSWORD_LIKE = ("hunter2hunter", "S3cure!pass", "tr0ub4dor&3", "p4ssw0rd!x", "Zx9-kLm2", "winter2024!", "9fK2mQ7xLp")

_PLACES = (
    "DB_PASS={}",
    "export MYSQL_PWD={}",
    "PGPASSWORD={} psql -h db",
    'password = "{}"',
    "password: {}",
    '"password": "{}"',
    '{{\\"password\\": \\"{}\\"}}',
    "conn = connect(host='db', password='{}')",
    "postgresql://ada:{}@db.example.org/shop",
    "mongodb+srv://ada:{}@cluster0.example.net/?retryWrites=true",
    "redis://:{}@cache:6379/0",
    "https://ada:{}@example.org/x.git",
    "mysql+pymysql://root:{}@127.0.0.1:3306/shop",
    "amqp://ada:{}@mq:5672/%2f",
    "Server=db;Database=shop;User Id=ada;Password={};Encrypt=yes",
    "host=db dbname=shop user=ada password={}",
    "DRIVER={{ODBC Driver 18}};SERVER=db;UID=ada;PWD={}",
    "curl -u ada:{} https://example.org",
    "tool --password {} --verbose",
    "tool --password={}",
    "<password>{}</password>",
    "db_password: '{}'",
    "spring.datasource.password={}",
    'os.environ["DB_PASSWORD"] = "{}"',
    'password: str = "{}"',
    "smtpPassword: '{}'",
    "MYSQL_ROOT_PASSWORD: {}",
    "ENCRYPTION_PASSPHRASE={}",
    "machine example.org login ada password {}",
    "mysql -u root -p{} shop",
    "sshpass -p {} ssh ada@example.org",
    '{{"auth": {{"username": "ada", "password": "{}"}}}}',
    "jdbc:sqlserver://db:1433;databaseName=shop;user=ada;password={};",
    "ftp://ada:{}@example.org/pub",
    "adminPassword={}",
    "FTP_PWD='{}'",
    "**password**: `{}`",
    "- **Password:** {}",
    "`db_password`: `{}`",
    "password = `{}`",
    '"password":\n    "{}"',
    r"'[db]\nuser = ada\npassword = {}\n'",
    r"""('a: 1', 'b: 2\r\n\tpassword: {}')""",
    r"'machine h\nlogin ada\npassword {}\n'",
    r"""'{{"body": "{{\\"password\\": \\"{}\\"}}"}}'""",
    r'"{{\"body\": \"{{\\\"password\\\": \\\"{}\\\"}}\"}}"',
    "{{b'user': b'ada', b'password': b'{}'}}",
    r"db\_password: {}",
    "password = **'{}'**",
)

_WRITTEN = (
    "| password | {} |",
    "| `DB_PASSWORD` | `{}` |",
    "The password is {}.",
    "The password is `{}`",
    'os.getenv("DB_PASSWORD", "{}")',
    'os.environ.setdefault("API_KEY", "{}")',
    "define('DB_PASSWORD', '{}');",
    "**API_KEY**: {}",
    "    client-key-data: {}",
    "Authorization: SSWS {}",
)

_NAMED = (
    "AWS_SECRET_ACCESS_KEY={}",
    "aws_secret_access_key = {}",
    '"SecretAccessKey": "{}"',
    "GITHUB_PAT={}",
    "AZURE_DEVOPS_PAT={}",
    "API_KEY={}",
    "api_key='{}'",
    '"apiKey": "{}"',
    "X-Api-Key: {}",
    "client_secret: {}",
    '"clientSecret" : "{}"',
    "//registry.npmjs.org/:_authToken={}",
    "https://example.org/data?access_token={}&page=2",
    "https://example.org/data?page=2&api_key={}",
    "Authorization: Bearer {}",
    "Authorization: Basic {}==",
    "Authorization: token {}",
    '{{"Authorization": "Bearer {}"}}',
    "Cookie: theme=dark; session={}",
    "Set-Cookie: sid={}; Path=/; HttpOnly",
    '-H "Cookie: sessionid={}"',
    "DefaultEndpointsProtocol=https;AccountName=ada;AccountKey={}==;EndpointSuffix=core.windows.net",
    "Endpoint=sb://bus/;SharedAccessKeyName=Root;SharedAccessKey={}=",
    "SECRET_KEY = '{}'",
    "JWT_SECRET={}",
    "--token {}",
    "--api-key={}",
    "refreshToken: '{}'",
    "private_key_token={}",
    "SLACK_SIGNING_SECRET={}",
    "DJANGO_SECRET_KEY='{}'",
    "hf_token = '{}'",
    "https://{}@o123.ingest.example.org/45",
    "https://hooks.slack.com/services/T0A1B2C3D/B0A1B2C3D/{}",
    "https://discord.com/api/webhooks/123456789012345678/{}abcdefghijklmnopqrstuvwxyz",
    "WANDB_API_KEY={}",
    "NPM_TOKEN={}",
    "storage_account_key: {}",
)

_KEYS = (
    "PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "OPENSSH PRIVATE KEY",
    "PGP PRIVATE KEY BLOCK",
    "ENCRYPTED PRIVATE KEY",
)


def _secrets() -> list[tuple[str, str]]:
    made = []
    for number, (start, length, among) in enumerate(_TOKENS.values()):
        value = start + _lot(length, among)
        made.append((_AROUND[number % len(_AROUND)].format(value), value))
    for shift in (0, 3):
        values = [(place, _PASSWORD_LIKE[(number + shift) % 7]) for number, place in enumerate(_PLACES)]
        made += [(place.format(value), value) for place, value in values]
    made += [(place.format(value), value) for place in (*_NAMED, *_WRITTEN) for value in (_lot(40),)]
    for kind in _KEYS:
        key = _private_key(kind)
        made.append((f"before\n{key}\nafter", key.split("\n")[2]))
    for around in ("{}", "token {} ends", "x={}", '"{}"'):
        value = _json_web_token()
        made.append((around.format(value), value))
    key = _private_key("RSA PRIVATE KEY")
    made.append((repr(f"a {key} b"), key.split("\n")[1]))
    pair = _lot(38) + "Q/"
    made.append((f"key AK{'IA'}{_lot(16, 'ABCDEFGHJK234567')} and {pair} for it", pair))
    made.append((f"bot 1234567890:{'AA'}{_lot(33)}", "AA7"))
    made.append((f"abc8Q~{_lot(34)}", "abc8Q~"))
    made.append((f"{_hex(32)}-us21", "-us21"))
    made.append((f"{'MT'}{_lot(24)}.{_lot(6)}.{_lot(38)}", "MT7"))
    return made


SECRETS = _secrets()
"""Texts, each with what must not be left of it."""

INNOCENT = [
    *("| password | string | required |", "| token | count |\n|---|---|\n| the | 12 |", '["password", "address1", "address2"]'),
    *(
        "The password is wrong.",
        "the token is 'hello2'",
        "**Password:** at least 8 characters",
        "`password`: the user's `password1`",
    ),
    *(
        'getattr(user, "password", None)',
        'd.get("token", "default")',
        "`token`: `str`",
        "**tokens**: 18,234",
        "password:\n  name: db",
    ),
    *(
        "postgres",
        "password",
        "native",
        "customer_id",
        "The token is native.",
        "SELECT customer_id FROM orders",
        "secret sauce",
    ),
    *("sk-estimator-id-1", '<div id="sk-container-id-12" class="sk-top-container">', "sk-toggleable__label-arrow fitted"),
    '<label for="sk-estimator-id-123" class="sk-toggleable__label sk-toggleable__label-arrow">LinearRegression</label>',
    *("password = getpass.getpass()", "password = input('Password: ')", 'api_key = os.environ["MY_API_KEY"]'),
    *(
        'token = os.getenv("GITHUB_TOKEN")',
        "client = Client(api_key=settings.api_key)",
        "connect(password=password, user=user)",
    ),
    *(
        "secret = config['secret']",
        "token = next(tokens)",
        "tokens = tokenizer.encode(text)",
        "max_tokens=4096",
        "total_tokens: 18234",
    ),
    *(
        '{"input_tokens": 12345678, "output_tokens": 4}',
        "token_count = len(tokens)",
        "for token in tokens:",
        "key=lambda x: x[1]",
    ),
    *(
        "df.sort_values(key=natsort_key)",
        'df.merge(other, on="customer_id", how="left")',
        "primary_key='id_2024'",
        "sort_key: created_at",
    ),
    *(
        "password: str",
        "password: Optional[str] = None",
        "def login(user: str, password: str) -> Token:",
        "if password == expected:",
    ),
    *(
        '"type": "password"',
        '<input type="password" name="password" autocomplete="current-password">',
        "password=***",
        "password=<password>",
    ),
    *(
        "DB_PASS=$DB_PASS",
        "DB_PASS=${DB_PASS}",
        "password: {{ password }}",
        "password: {password}",
        "PASSWORD=changeme",
        "API_KEY=YOUR_API_KEY",
    ),
    *(
        'api_key="your-api-key-here"',
        "export OPENAI_API_KEY=sk-...",
        "postgres://localhost:5432/shop",
        "postgresql://user:password@localhost/db",
    ),
    *(
        "postgresql://postgres:postgres@localhost:5432/postgres",
        "redis://localhost:6379/0",
        "sqlite:///shop.db",
        "git@github.com:ada/shop.git",
    ),
    *(
        "ssh://git@github.com/ada/shop.git",
        "https://ada@example.org/x",
        "https://medium.com/@ada/why-we-moved-2f3a1b4c5d6e",
        "mailto:ada@example.org",
    ),
    *(
        "https://example.org/?q=key&token=none",
        "https://example.org:8443/path",
        "http://user:{pw}@host",
        "f'postgres://{user}:{password}@{host}/db'",
    ),
    *(
        "681fea2c-2417-42d4-b134-6c7d6a02503b",
        "session 681fea2c-2417-42d4-b134-6c7d6a02503b",
        "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    ),
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    '"integrity": "sha512-z3K4vL1m9Q2xR7tY5wE8uI0oP6aS4dF2gH1jK3lZ5xC7vB9nM0qW2eR4tY6uI8oP1aS3dF5gH7jK9lZ1xC3vBw=="',
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7xq0zR3vT5yU7iO9pA1sD3fG5hJ7kL9zX1cV3bN5mQ ada@laptop",
    "-----BEGIN CERTIFICATE-----\nMIIB9TCCAXugAwIBAgIUJ7xq0zR3vT5yU7iO9pA1sD3fG5hJ7k\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE7xq0zR3vT5yU7iO9pA1sD3fG5hJ7k\n-----END PUBLIC KEY-----",
    *(
        "src='data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='",
    ),
    *(
        "risk-assessment-of-the-northern-region-2024",
        "task-runner-with-a-long-descriptive-name",
        "disk-usage-2024-11-27-report-final-v2",
    ),
    *(
        "ghp_short, glpat-short, AKIA, eyJ.a.b",
        "hf_model_name",
        "npm_config_registry",
        "npm_lifecycle_event=build",
        "pypi-publish action",
    ),
    *(
        "sk_live_ is how Stripe's keys begin",
        "hf_hub_download(repo_id='bert-base-uncased')",
        "key-value-store-with-expiry",
        "secret_santa_list_for_2024",
    ),
    *(
        "The Bearer of the ring",
        "Authorization: Bearer TOKEN",
        "Authorization: Bearer <token>",
        "Basic understanding of authentication",
        "Basic authentication",
    ),
    *(
        "Bearer authentication-by-token",
        "Cookie: a small file that a site keeps",
        "cookies = SimpleCookie()",
        'document.cookie = "theme=dark"',
    ),
    *(
        "PWD=/home/ada/work",
        "OLDPWD=/home/ada",
        "pwd: /home/ada/work",
        "SSH_AUTH_SOCK=/tmp/ssh-XY12ab/agent.42",
        "KEY_FILE=/etc/ssl/private/k3y.pem",
    ),
    *(
        "GOOGLE_APPLICATION_CREDENTIALS=/home/ada/key-2024a.json",
        "TOKENIZERS_PARALLELISM=false",
        "private_key_path: ~/.ssh/id_ed25519",
    ),
    *(
        "token_type: bearer",
        '"token_type": "Bearer"',
        "auth: basic",
        "auth=('user', 'pass')",
        "requests.get(url, auth=(user, token))",
        "API key: none",
    ),
    *(
        "PASS: 12 tests",
        "PASSED tests/test_a.py::test_x",
        "tests passed: 120",
        "pass",
        "bypass=True",
        "compass: north2024",
        "passenger: 4711abc",
        "passengers=189",
    ),
    *(
        "author: Ada Lovelace",
        "authority=example.org:443",
        "keyboard=qwerty2000",
        "monkey: capuchin7b",
        "tokenizer: bert-base-uncased",
        "secretary=Ada2",
    ),
    *(
        "pattern: [a-z]{3}",
        "PAT = re.compile(r'x')",
        "path=/a/b",
        "patient_id=A1B2C3D4",
        "spat: 1a2b3c4d",
        "descr: 7f3a9c",
        "dsn = build_dsn(config)",
        "SENTRY_DSN=",
    ),
    *(
        "DATABASE_URL=sqlite:///data/shop.db",
        "DATABASE_URL=postgres://localhost/shop",
        "REDIS_URL=redis://cache:6379",
        "TOKEN_URL=https://id.example.org/token",
    ),
    *(
        "access_token_url: https://id.example.org/oauth2/v2.0/token",
        "private_key_id: null",
        "secret: false",
        "password_required=True",
        "password_hint: pet",
    ),
    *(
        "password_field = 'passwd'",
        "token_ids = [101, 2023, 102]",
        "special_tokens: ['<s>', '</s>']",
        '{"eos_token": "<|endoftext|>", "pad_token": "[PAD]"}',
    ),
    *(
        '"bos_token": "<s>"',
        "pad_token='[PAD]'",
        'unk_token="[UNK]"',
        'eos_token = "</s>"',
        "cls_token: [CLS]",
        "mask_token=<mask>",
    ),
    *(
        "2024-11-27T14:05:35.123456Z",
        "192.168.10.24:8080",
        "v1.2.3-rc.4+build.5678",
        "0x7f3a9c2b4d1e",
        "<object at 0x7f3a9c2b4d10>",
        "R2=0.9876543210987654",
    ),
    *(
        "ACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTACGT",
        "ENSG00000139618",
        "InChIKey=BSYNRYMUTXBXSQ-UHFFFAOYSA-N",
        "10.1038/s41586-020-2649-2",
        "arXiv:2106.09685v2",
    ),
    *(
        "s3://bucket/key/part-00000-1a2b3c4d.snappy.parquet",
        "gs://bucket/secret/data.csv",
        "arn:aws:iam::123456789012:role/Admin",
        "i-0a1b2c3d4e5f67890",
    ),
    *(
        "claude-opus-4-5-20251101",
        "toolu_01A09q90qw90lq917835lq9",
        "msg_01XFDUDYJgAACzvnptvVoYEL",
        "req_011CSHoEeqs5C35K2UUqR7Fy",
        "model=claude-sonnet-4-5",
    ),
    *(
        "nbformat_minor: 5",
        "uuid4().hex",
        "base64.b64encode(data)",
        "hashlib.sha256(password.encode()).hexdigest()",
        "secrets.token_hex(16)",
        "jwt.decode(token, key)",
    ),
    *(
        "We compare the key figures of 2024: revenue, passwords reset, tokens used.",
        "Passwords must have 12 characters and 1 digit.",
        "The secret: practice.",
        r"'a\nThe password is on the wall.\n'",
        r"print('user\tpassword\tage\n')",
        r'"{\"password\": \"string\", \"token\": null, \"max_tokens\": 4096}"',
        r"re.compile(r'(?P<name>\w+)\s*=\s*(?P<token>[^\s]+)\npassword')",
        "{b'user': b'ada', b'password': b'', b'token': b'null'}",
        r"max\_tokens: 4096, **token\_count** = 12, `secret`**s** &amp; <b>password</b>: <i>optional</i>",
        r"C:\new\token\readme.txt, \nu_1 = \token, \textbf{key}\_1",
    ),
    *(
        "Schl\u00fcssel = Wert",
        "\u5bc6\u7801: \u65e0",
        "mot de passe : aucun",
        "| token | count |\n|---|---|\n| the | 12 |",
        "pip install detect-secrets==1.5.0",
        "conda install keyring",
    ),
    *(
        "In [12]: password",
        "echo $API_KEY",
        '--token "$TOKEN"',
        "gh secret set API_KEY",
        "git config credential.helper store",
        "kubectl get secrets",
        "docker login -u ada",
    ),
]
"""Texts that stay as they are."""

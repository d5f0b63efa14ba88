"""Makes secrets of all formats up, at run time, so that no scanner takes a file of the project for a leak.

The formats are those of gitleaks' and detect-secrets' rules, as their issuers document them.
"""

import base64
import json
import os
import random
import re
import string

ALNUM = string.ascii_letters + string.digits


def noise(length, alphabet=ALNUM, seed=7):
    """Characters that look random and are the same in each run."""
    return "".join(random.Random(seed).choices(alphabet, k=length))


def pem(kind="RSA ", material=None, headers="", tail=""):
    body = "MII" + noise(600, ALNUM + "+/") if material is None else material
    lines = "\n".join(body[i : i + 64] for i in range(0, len(body), 64))
    return f"-----BEGIN {kind}PRIVATE KEY{tail}-----\n{headers}{lines}\n-----END {kind}PRIVATE KEY{tail}-----\n"


def openssh(cipher):
    head = b"openssh-key-v1\0" + len(cipher).to_bytes(4, "big") + cipher + b"\0\0\0\4none"
    return pem("OPENSSH ", base64.b64encode(head + random.Random(3).randbytes(300)).decode())


def part(content):
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def jwt(header=None, payload=None, signature=None):
    header = {"alg": "HS256", "typ": "JWT"} if header is None else header
    payload = {"iss": "login.corp", "sub": "deploy"} if payload is None else payload
    return f"{part(header)}.{part(payload)}.{noise(43) if signature is None else signature}"


def docker(login):
    return json.dumps({"auths": {"registry.corp": {"auth": base64.b64encode(login.encode()).decode()}}})


ALPHABETS = {
    "a": string.ascii_letters + string.digits,
    "b": string.ascii_letters + string.digits + "+/",
    "d": string.digits,
    "h": "0123456789abcdef",
    "l": string.ascii_lowercase + string.digits,
    "s": string.ascii_letters,
    "u": string.ascii_uppercase + string.digits,
    "w": string.ascii_letters + string.digits + "_-",
    "x": string.ascii_uppercase + "234567",
}
UUID = "<h8>-<h4>-<h4>-<h4>-<h12>"

NOTATIONS = (
    '{i}Token="{s}"',
    "{i}Token = {s}\n",
    '{{\n    "{i}_token": "{s}"\n}}',
    '{{"config.ini": "{I}_TOKEN={s}\\nBACKUP=true"}}',
    "<{i}Token>\n    {s}\n</{i}Token>",
    "{i}_token: {s}\n",
    "{i}_token: '{s}'\n",
    'var {i}Token string = "{s}"',
    '{i}Token := "{s}"',
    "{i}Token := `{s}`",
    '${i}Token .= "{s}"',
    'System.setProperty("{I}_TOKEN", "{s}")',
    '  "{i}Token" => "{s}"',
    '{i}_TOKEN ::= "{s}"',
    '{i}_TOKEN ?= "{s}"',
    "export {I}_TOKEN={s}\n",
    "docker run -e {I}_TOKEN={s} app\n",
)
"""How programs and configurations write a name and a value."""

LOOKS = {
    "1password-secret-key": "A3-<u6>-<u11>-<u5>-<u5>-<u5>",
    "1password-secret-key, other": "A3-<u6>-<u6>-<u5>-<u5>-<u5>-<u5>",
    "1password-service-account-token": "ops_eyJ<a250>",
    "adobe-client-secret": "p8e-<l32>",
    "age-secret-key": "AGE-SECRET-KEY-1<2>",
    "airtable-personal-access-token": "pat<a14>.<h64>",
    "alibaba-access-key-id": "LTAI<a20>",
    "anthropic-admin-api-key": "sk-ant-admin01-<w93>AA",
    "anthropic-api-key": "sk-ant-api03-<w93>AA",
    "artifactory-api-key": "AKCp<a69>",
    "artifactory-reference-token": "cmVmd<a59>",
    "atlassian-api-token": "ATATT3<w186>",
    "authress-service-client-access-key": "sc_<l10>.<l5>.acc-<l12>.<b40>",
    "aws-access-token": "AKIA<x16>",
    "aws-access-token, temporary": "ASIA<x16>",
    "aws-access-token, bearer": "ABIA<x16>",
    "aws-access-token, context": "ACCA<x16>",
    "aws-amazon-bedrock-api-key-long-lived": "ABSKQmVkcm9ja0FQSUtleS1<a108>=",
    "aws-amazon-bedrock-api-key-short-lived": "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t<a200>",
    "azure-ad-client-secret": "<a3><d1>Q~<w33>",
    "azure-storage-account": "DefaultEndpointsProtocol=https;AccountName=me;AccountKey=<b86>==;EndpointSuffix=a.net",
    "azure-service-bus": "Endpoint=sb://me.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=<b43>=",
    "clickhouse-cloud-api-secret-key": "4b1d<a38>",
    "clojars-api-token": "CLOJARS_<l60>",
    "cloudflare-origin-ca-key": "v1.0-<h24>-<h146>",
    "databricks-api-token": "dapi<h32>",
    "defined-networking-api-token": "dnkey-<w26>-<w52>",
    "digitalocean-access-token": "doo_v1_<h64>",
    "digitalocean-pat": "dop_v1_<h64>",
    "digitalocean-refresh-token": "dor_v1_<h64>",
    "discord-webhook": "https://discord.com/api/webhooks/<d18>/<w68>",
    "docker-hub": "dckr_pat_<w27>",
    "doppler-api-token": "dp.pt.<a43>",
    "doppler-service-token": "dp.st.prd.<a43>",
    "dropbox-short-lived-api-token": "sl.<w135>",
    "duffel-api-token": "duffel_live_<w43>",
    "dynatrace-api-token": "dt0c01.<u24>.<u64>",
    "easypost-api-token": "EZAK<a54>",
    "easypost-test-api-token": "EZTK<a54>",
    "facebook-page-access-token": "EAAM<a120>",
    "flutterwave-encryption-key": "FLWSECK_TEST-<h12>",
    "flutterwave-secret-key": "FLWSECK_TEST-<h32>-X",
    "flyio-access-token": "fo1_<w43>",
    "flyio-access-token, macaroon": "fm2_<b120>",
    "frameio-api-token": "fio-u-<w64>",
    "gcp-api-key": "AIza<w35>",
    "gcp-oauth-client-secret": "GOCSPX-<w28>",
    "github-app-token": "ghs_<a36>",
    "github-app-token, user": "ghu_<a36>",
    "github-fine-grained-pat": "github_pat_<a22>_<a59>",
    "github-oauth": "gho_<a36>",
    "github-pat": "ghp_<a36>",
    "github-refresh-token": "ghr_<a36>",
    "gitlab-cicd-job-token": "glcbt-<a5>_<w20>",
    "gitlab-deploy-token": "gldt-<w20>",
    "gitlab-feature-flag-client-token": "glffct-<w20>",
    "gitlab-feed-token": "glft-<w20>",
    "gitlab-incoming-mail-token": "glimt-<w25>",
    "gitlab-kubernetes-agent-token": "glagent-<w50>",
    "gitlab-oauth-app-secret": "gloas-<w64>",
    "gitlab-pat": "glpat-<w20>",
    "gitlab-pat-routable": "glpat-<w27>.<l2><l7>",
    "gitlab-ptt": "glptt-<h40>",
    "gitlab-rrt": "GR1348941<w20>",
    "gitlab-runner-authentication-token": "glrt-<w20>",
    "gitlab-runner-authentication-token-routable": "glrt-t1_<w27>.<l2><l7>",
    "gitlab-scim-token": "glsoat-<w20>",
    "gitlab-session-cookie": "_gitlab_session=<h32>",
    "grafana-api-key": "eyJrIjoi<a90>",
    "grafana-cloud-api-token": "glc_<a90>",
    "grafana-service-account-token": "glsa_<a32>_<h8>",
    "groq": "gsk_<a52>",
    "harness-api-key": "pat.<w22>.<a24>.<a20>",
    "harness-api-key, service account": "sat.<w22>.<a24>.<a20>",
    "hashicorp-tf-api-token": "<a14>.atlasv1.<w64>",
    "heroku-api-key-v2": "HRKU-AA<w58>",
    "hubspot-private-app": f"pat-na1-{UUID}",
    "huggingface-access-token": "hf_<s34>",
    "huggingface-organization-api-token": "api_org_<s34>",
    "infracost-api-token": "ico-<a32>",
    "intra42-client-secret": "s-s4t2ud-<h64>",
    "linear-api-key": "lin_api_<a40>",
    "mailchimp-api-key": "<h32>-us20",
    "mailgun-private-api-token": "key-<h32>",
    "mapbox-secret": "sk.eyJ<a70>.<a22>",
    "maxmind-license-key": "<a6>_<a29>_mmk",
    "microsoft-teams-webhook": f"https://me.webhook.office.com/webhookb2/{UUID}@{UUID}/IncomingWebhook/<h32>/{UUID}",
    "netlify": "nfp_<a36>",
    "new-relic-insert-key": "NRII-<a32>",
    "new-relic-user-api-key": "NRAK-<u27>",
    "notion-api-token": "ntn_<d11><a35>",
    "npm-access-token": "npm_<a36>",
    "octopus-deploy-api-key": "API-<u26>",
    "openai-api-key": "sk-<a20>T3BlbkFJ<a20>",
    "openai-api-key, project": "sk-proj-<w74>T3BlbkFJ<w74>",
    "openrouter": "sk-or-v1-<h64>",
    "openshift-user-token": "sha256~<w43>",
    "perplexity-api-key": "pplx-<a48>",
    "plaid-api-token": f"access-production-{UUID}",
    "planetscale-api-token": "pscale_tkn_<w43>",
    "planetscale-oauth-token": "pscale_oauth_<w43>",
    "planetscale-password": "pscale_pw_<w43>",
    "postman-api-token": "PMAK-<h24>-<h34>",
    "prefect-api-token": "pnu_<a36>",
    "pulumi-api-token": "pul-<h40>",
    "pypi-upload-token": "pypi-AgEIcHlwaS5vcmc<w64>",
    "readme-api-token": "rdme_<l70>",
    "replicate": "r8_<a37>",
    "rubygems-api-token": "rubygems_<h48>",
    "scalingo-api-token": "tk-us-<w48>",
    "sendgrid-api-token": "SG.<w22>.<w43>",
    "sendinblue-api-token": "xkeysib-<h64>-<a16>",
    "sentry-org-token": "sntrys_eyJpYXQiO<a120>_<a43>",
    "sentry-user-token": "sntryu_<h64>",
    "settlemint-application-access-token": "sm_aat_<a16>",
    "settlemint-personal-access-token": "sm_pat_<a16>",
    "settlemint-service-access-token": "sm_sat_<a16>",
    "shippo-api-token": "shippo_live_<h40>",
    "shopify-access-token": "shpat_<h32>",
    "shopify-custom-access-token": "shpca_<h32>",
    "shopify-private-app-access-token": "shppa_<h32>",
    "shopify-shared-secret": "shpss_<h32>",
    "slack-app-token": "xapp-1-A<u10>-<d13>-<h64>",
    "slack-bot-token": "xoxb-<d12>-<d13>-<a24>",
    "slack-config-access-token": "xoxe.xoxp-1-<a165>",
    "slack-config-refresh-token": "xoxe-1-<a146>",
    "slack-legacy-bot-token": "xoxb-<d12>-<a24>",
    "slack-legacy-token": "xoxs-<d11>-<d11>-<d11>-<h32>",
    "slack-legacy-workspace-token": "xoxa-2-<a40>",
    "slack-user-token": "xoxp-<d12>-<d12>-<d12>-<h32>",
    "slack-webhook-url": "https://hooks.slack.com/services/T<u10>/B<u10>/<a24>",
    "sonar-api-token": "squ_<h40>",
    "sourcegraph-access-token": "sgp_<h16>_<h40>",
    "square-access-token": "sq0atp-<w22>",
    "square-access-token, new": "EAAA<w60>",
    "square-oauth": "sq0csp-<w43>",
    "stripe-access-token": "sk_live_<a30>",
    "stripe-access-token, restricted": "rk_live_<a99>",
    "stripe-access-token, test": "sk_test_<a30>",
    "tailscale": "tskey-auth-<a17>-<a32>",
    "telegram-bot-api-token": "<d10>:AA<w33>",
    "twilio-api-key": "SK<h32>",
    "typeform-api-token": "tfp_<w59>",
    "vault-batch-token": "hvb.<w150>",
    "vault-service-token": "hvs.<w90>",
    "xai": "xai-<a80>",
    "yandex-api-key": "AQVN<w36>",
}
"""What is told by its looks, wherever it stands. Names are those of the rules, where there is one."""

NAMES = {
    "adafruit": "<w32>",
    "airtable": "<l17>",
    "algolia": "<l32>",
    "alibaba": "<l30>",
    "asana": "<l32>",
    "beamer": "b_<w44>",
    "bitbucket": "<w64>",
    "bittrex": "<l32>",
    "cisco_meraki": "<h40>",
    "cloudant": "<h64>",
    "cloudflare": "<w40>",
    "cloudflare_global": "<h37>",
    "codecov": "<l32>",
    "cohere": "<a40>",
    "coinbase": "<w64>",
    "confluent": "<l64>",
    "confluent_access": "<l16>",
    "contentful": "<w43>",
    "datadog": "<l40>",
    "discord": "<h64>",
    "discord_client": "<w32>",
    "droneci": "<l32>",
    "dropbox": "<l15>",
    "dropbox_long": "<l11>AAAAAAAAAA<w43>",
    "etsy": "<l24>",
    "facebook": "<h32>",
    "fastly": "<w32>",
    "finicity": "<h32>",
    "finicity_client": "<l20>",
    "finnhub": "<l20>",
    "flickr": "<l32>",
    "freemius": "sk_<a29>",
    "freshbooks": "<l64>",
    "gitter": "<w40>",
    "gocardless": "live_<w40>",
    "heroku": UUID,
    "hubspot": UUID.upper().replace("<H", "<h"),
    "ibm_cloud_iam": "<w44>",
    "ibm_cos_hmac": "<h48>",
    "intercom": "<w60>",
    "jfrog": "<l73>",
    "kraken": "<b80>",
    "kubeadm": "<l6>.<l16>",
    "kucoin": UUID,
    "launchdarkly": "<w40>",
    "linear": "<h32>",
    "linkedin": "<l16>",
    "lob": "live_<h35>",
    "looker": "<l24>",
    "mailgun_signing": "<h32>-<h8>-<h8>",
    "mattermost": "<l26>",
    "messagebird": "<l25>",
    "netlify": "<w43>",
    "new_relic": "<l64>",
    "nytimes": "<w32>",
    "okta": "00<w40>",
    "plaid": "<l30>",
    "private_ai": "<l32>",
    "rapidapi": "<w50>",
    "sendbird": "<h40>",
    "sentry": "<h64>",
    "snyk": UUID,
    "softlayer": "<l64>",
    "sonar": "<w40>",
    "squarespace": UUID,
    "sumologic": "<l64>",
    "travis": "<l22>",
    "twitch": "<l30>",
    "twitter": "<l45>",
    "twitter_access": "<d18>-<a30>",
    "twitter_bearer": "AAAAAAAAAAAAAAAAAAAAAA<a90>",
    "vault": "s.<a24>",
    "yandex": "YC<w38>",
    "zendesk": "<l40>",
}
"""What has no look of its own: a name speaks of it."""

KUBECONFIG = "users:\n- name: admin\n  user:\n    client-key-data: {}\n"
FILES = {
    "aws credentials": (".aws/credentials", "[default]\naws_secret_access_key = <b40>\n"),
    "discord bot": ("etc/bot.conf", "discord: M<w23>.<w6>.<w27>\n"),
    "facebook app": ("etc/app.conf", "facebook = <d15>|<w27>\n"),
    "npm legacy": (".npmrc", f"//registry.npmjs.org/:_authToken={UUID}\n"),
    "npm basic": (".npmrc", "//registry.corp/:_auth=<b32>\n"),
    "netrc": (".netrc", "machine ftp.corp\nlogin me\npassword <a9>\n"),
    "pgpass": ("root/.pgpass", "db.corp:5432:app:app:<a9>\n"),
    "mysql": ("etc/mysql/conf.d/a.cnf", "[client]\npassword = <a9>\n"),
    "chap": ("etc/ppp/chap-secrets", "# client server secret\nme * <a9> *\n"),
    "cifs": ("root/.smbcredentials", "username=me\npassword=<a9>\n"),
    "wpa": ("etc/wpa_supplicant/wpa_supplicant.conf", 'network={\n  ssid="net"\n  psk="<a9>"\n}\n'),
    "wpa, hashed": ("etc/wpa_supplicant/wpa_supplicant.conf", "network={\n  psk=<h64>\n}\n"),
    "NetworkManager": ("etc/NetworkManager/system-connections/net", "[wifi-security]\npsk=<a9>\n"),
    "htpasswd, apr1": ("etc/nginx/.htpasswd", "me:$apr1$<a8>$<a22>\n"),
    "htpasswd, bcrypt": ("etc/nginx/htpasswd", "me:$2y$10$<a53>\n"),
    "cloud-init": ("etc/user-data", "users:\n  - name: me\n    plain_text_passwd: <a9>\n"),
    "cloud-init, list": ("etc/user-data", "chpasswd:\n  list: |\n    root:<a9>\n"),
    "url": ("etc/app.conf", "url = postgres://app:<a12>@db.corp/app\n"),
    "git-credentials": ("root/.git-credentials", "https://me:<a20>@git.corp\n"),
    "curl user": ("bin/run.sh", "curl -sS -u me:<a9> https://db.corp/\n"),
    "curl header": ("bin/run.sh", "curl -H 'Authorization: Bearer <a40>' https://db.corp/\n"),
    "nuget": ("etc/nuget.config", '<add key="ClearTextPassword" value="<a12>" />\n'),
    "sidekiq": ("etc/bundle", "BUNDLE_ENTERPRISE__CONTRIBSYS__COM=<h8>:<h8>\n"),
    "softlayer": ("etc/app.conf", "http://api.softlayer.com/soap/v3.1/<l64>\n"),
    "cloudant": ("etc/app.conf", "https://me:<h64>@me.cloudant.com/_api/v2/\n"),
    "keyword, password": ("etc/app.conf", 'db_password = "<a20>"\n'),
    "bootstrap token": ("etc/kubeadm.conf", "token: <l6>.<l16>\n"),
}
"""Files that hold secrets in a notation of their own."""


def made(template, rng):
    """A secret of a format."""
    bech32 = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"
    text = template.replace("<2>", "".join(rng.choices(bech32, k=58)))
    return re.sub(r"<([a-z])(\d+)>", lambda m: "".join(rng.choices(ALPHABETS[m[1]], k=int(m[2]))), text)


def positives(count, seed=1):
    """(format, path, text) of `count` secrets of each format and notation."""
    rng = random.Random(seed)
    for name, template in [*LOOKS.items(), *NAMES.items()]:
        identifier = name if name in NAMES else re.split(r"[-,]", name)[0]
        for notation in NOTATIONS:
            for _ in range(count):
                text = notation.format(i=identifier, I=identifier.upper(), s=made(template, rng))
                yield name, "etc/app.conf", text
    for name, (path, template) in FILES.items():
        for _ in range(count):
            yield name, path, made(template, rng)
    for text in (pem(), pem(""), openssh(b"none"), jwt(), docker(f"robot:{made('<a16>', rng)}")):
        yield "structure", "etc/app.conf", text
    yield "kubeconfig", "etc/kube.conf", KUBECONFIG.format(base64.b64encode(pem().encode()).decode())
    service = {"type": "service_account", "private_key": pem("")}
    yield "gcp-service-account", "etc/gcp.json", str(service).replace("'", '"')


MOST = 100 << 20
"""Bytes of this machine's texts that are searched: so many are read and searched in two seconds."""


def texts(*tops):
    """(path, text) of the texts below, the first MiB of each, as an image with them would be searched."""
    total = 0
    for top in tops:
        for folder, folders, names in os.walk(top):
            folders.sort()
            for path in (os.path.join(folder, name) for name in sorted(names)):
                if os.path.islink(path) or not os.path.isfile(path) or not os.access(path, os.R_OK):
                    continue
                with open(path, "rb") as file:
                    head = file.read(4096)
                    text = b"" if b"\0" in head else head + file.read((1 << 20) - len(head))
                total += len(text)
                if total > MOST:
                    return
                yield path.lstrip("/"), text

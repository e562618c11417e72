/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificate requests that ask for more than a member may have; made with `openssl req`, their
 * keys thrown away. All are for spiffe://clinics/member/north, and beside it: two a second URI,
 * hosts two DNS names, mail an address; p384, rsa and ed have keys of those kinds; none has no
 * names at all.
 */
#ifndef RN_TESTS_REQUESTS_H
#define RN_TESTS_REQUESTS_H

static const char request_two[] =
    "-----BEGIN CERTIFICATE REQUEST-----\n"
    "MIIBNzCB3gIBADAiMRAwDgYDVQQKDAdjbGluaWNzMQ4wDAYDVQQDDAVub3J0aDBZ\n"
    "MBMGByqGSM49AgEGCCqGSM49AwEHA0IABFPrixqDaBpslTPGC6nE9PsEepJ+PXqa\n"
    "3KHdi2g7IWEKje7zWmKNWZHvOMjK82g1EX1B4Mq8flVP/CCGQjvWotmgWjBYBgkq\n"
    "hkiG9w0BCQ4xSzBJMEcGA1UdEQRAMD6GHXNwaWZmZTovL2NsaW5pY3MvbWVtYmVy\n"
    "L25vcnRohh1zcGlmZmU6Ly9jbGluaWNzL21lbWJlci9zb3V0aDAKBggqhkjOPQQD\n"
    "AgNIADBFAiEAiVWxYuVyzkHIOqWUTiJNP+26luu5n8lsLEpsWISjqKMCIAK57Pme\n"
    "fuA0DuKbgFITDa8TT25tQm7asgEm9dWOMOWT\n"
    "-----END CERTIFICATE REQUEST-----\n";

static const char request_hosts[] =
    "-----BEGIN CERTIFICATE REQUEST-----\n"
    "MIIBLTCB1QIBADAiMRAwDgYDVQQKDAdjbGluaWNzMQ4wDAYDVQQDDAVub3J0aDBZ\n"
    "MBMGByqGSM49AgEGCCqGSM49AwEHA0IABLlm5pmlvoEPl9lZr9cgAVBV8OP6Hx5p\n"
    "cHU5Mdlnw04RB39tuzjlLfKuc6hoa8zY/Ae9c5YfUvuvNu7XbsRzo1agUTBPBgkq\n"
    "hkiG9w0BCQ4xQjBAMD4GA1UdEQQ3MDWGHXNwaWZmZTovL2NsaW5pY3MvbWVtYmVy\n"
    "L25vcnRogglhLmV4YW1wbGWCCWIuZXhhbXBsZTAKBggqhkjOPQQDAgNHADBEAiAy\n"
    "WqAwPrYPYXyfe6HtokBsa0CytGGWbIN5PPsTwcP9ZwIgX9KYTW8a3FjcONdhbhNo\n"
    "Fw5GgbtMBiBnMpGexf98SVs=\n"
    "-----END CERTIFICATE REQUEST-----\n";

static const char request_mail[] =
    "-----BEGIN CERTIFICATE REQUEST-----\n"
    "MIIBKDCBzgIBADAiMRAwDgYDVQQKDAdjbGluaWNzMQ4wDAYDVQQDDAVub3J0aDBZ\n"
    "MBMGByqGSM49AgEGCCqGSM49AwEHA0IABLxw3umblttxkjG++thWZMV5HmP8HZpW\n"
    "miSZd0NK0ZylmtyT8U/sYxmpH7jUd5JZ71DkqZmY5yowEsOrGr67WcqgSjBIBgkq\n"
    "hkiG9w0BCQ4xOzA5MDcGA1UdEQQwMC6GHXNwaWZmZTovL2NsaW5pY3MvbWVtYmVy\n"
    "L25vcnRogQ1hQGV4YW1wbGUub3JnMAoGCCqGSM49BAMCA0kAMEYCIQDnObhfqXhF\n"
    "SFT9djxM2lsq4T5HSS94jKrCKCkKajjgjQIhAM2+x4xcyT52Jh2V8KsOgnvKKFyS\n"
    "7k6gmCZfX0IAr1os\n"
    "-----END CERTIFICATE REQUEST-----\n";

static const char request_p384[] =
    "-----BEGIN CERTIFICATE REQUEST-----\n"
    "MIIBVDCB3AIBADAiMRAwDgYDVQQKDAdjbGluaWNzMQ4wDAYDVQQDDAVub3J0aDB2\n"
    "MBAGByqGSM49AgEGBSuBBAAiA2IABCjHNy4DmD/5VkQbCx9vVVz7UHut7pAwuc3j\n"
    "eCfEoBU9gpWOMajAez5/aMQo4tDFn4rgBB0pcCcskIo5BCzqnJ/acs8X5qiIXZyw\n"
    "wu/yo5M/VrBjd7suXsddqOOL59UocqA7MDkGCSqGSIb3DQEJDjEsMCowKAYDVR0R\n"
    "BCEwH4Ydc3BpZmZlOi8vY2xpbmljcy9tZW1iZXIvbm9ydGgwCgYIKoZIzj0EAwID\n"
    "ZwAwZAIwTNj1KYUpX9YK7o5VHrimzdcRgjZFAyzzrtOB9noCJ8rKst1kZGa6FJPn\n"
    "VWQr0vXpAjBexqp60ul50LRDpi/ph2Tj9OR+SRXYIKmGENJx49uewIwQ0WAcutqK\n"
    "tlsnCi0wCsM=\n"
    "-----END CERTIFICATE REQUEST-----\n";

static const char request_rsa[] =
    "-----BEGIN CERTIFICATE REQUEST-----\n"
    "MIICojCCAYoCAQAwIjEQMA4GA1UECgwHY2xpbmljczEOMAwGA1UEAwwFbm9ydGgw\n"
    "ggEiMA0GCSqGSIb3DQEBAQUAA4IBDwAwggEKAoIBAQDL7Tz2pCbMvF+Z5LCGX82i\n"
    "lqNlSu/kh0z28f1eHGllyPr60w1gRSDI73vvnhoOpQASZ/limGY4PoBofl+Kk8Ri\n"
    "TepC6L5ft/Kc4v3ONWCXq0JzWtjqo11SGWv/Ib40Md7DlAl9gzdxa3hZwAcF/RuY\n"
    "gDgKZSLKRxvbXxcThtrka+4L6iJ800Lk3ho/pceBdPchZ1mkzqXqDJAPRkdIm4cC\n"
    "zZwXhzBfxHxV6MJIldgfPsca2znPvhobYLeDLBT2cixLEH+8EOVmzaCYZ7scWT3E\n"
    "A+Ca3GW4O458mxUCawmMrPAcW8z9QgfYrZlQk1JFszQU1m782nN4NHVDQybdKW4L\n"
    "AgMBAAGgOzA5BgkqhkiG9w0BCQ4xLDAqMCgGA1UdEQQhMB+GHXNwaWZmZTovL2Ns\n"
    "aW5pY3MvbWVtYmVyL25vcnRoMA0GCSqGSIb3DQEBCwUAA4IBAQAkvx1MEYmMI6Ez\n"
    "U7zzVsXd9tGk/YbpZ61J0EaD8ighriD3Rs+M4+kl5eKiYmEBTSNNwTMf0kG3NX6n\n"
    "gGb70tJlKVt5hAaPKRcKVC+yq6TegBddLcyZHG/IdekPSs8yXmct1ZjfL3+t+WvK\n"
    "24HWmkzMZdGm1UE5y6oYnhNbkQKZKaIftMZxbBD+XVNN/lTASBnkE/oxVzICy3GP\n"
    "w6hW+WLTImv4zqtdfIs7wpH/h1ycPhkbc3iwVs7nzM4BzsQpIOlP+HTN9bDuIWRP\n"
    "kDLihauML/LnVQdtyssxSmuCqxDWhlb3wwH9iC89qc4nYZV/KNcoeKQNjgTpdti8\n"
    "oqIwbQLw\n"
    "-----END CERTIFICATE REQUEST-----\n";

static const char request_ed[] =
    "-----BEGIN CERTIFICATE REQUEST-----\n"
    "MIHdMIGQAgEAMCIxEDAOBgNVBAoMB2NsaW5pY3MxDjAMBgNVBAMMBW5vcnRoMCow\n"
    "BQYDK2VwAyEAjsN/pGzLuRxe6wVl7JoF42ZHkD9ilSHKwgFFqRzU3mmgOzA5Bgkq\n"
    "hkiG9w0BCQ4xLDAqMCgGA1UdEQQhMB+GHXNwaWZmZTovL2NsaW5pY3MvbWVtYmVy\n"
    "L25vcnRoMAUGAytlcANBAKWninrSjty9EahJ50pmdJt/69ByXZgTAmJ3xT748vF+\n"
    "cAySVwKBYofOOJVFEMdftnbrHAPeBwlj0RwVDxjY6wM=\n"
    "-----END CERTIFICATE REQUEST-----\n";

static const char request_none[] =
    "-----BEGIN CERTIFICATE REQUEST-----\n"
    "MIHJMHICAQAwEDEOMAwGA1UEAwwFbm9ydGgwWTATBgcqhkjOPQIBBggqhkjOPQMB\n"
    "BwNCAATKqikaJdi5K4EDRiJYZQu+8RoZ4+6V7BGxSQUYNt5RDhDsjGbPESknFA9J\n"
    "Fa+rtxWZ25TjxrzPisPPq8bPMTlUoAAwCgYIKoZIzj0EAwIDRwAwRAIgaczPguFD\n"
    "V8E2eeTU91ZAddFm5txhjyly2id1cFLQNqYCID1QfRDVojNe9CYhfCbGkD0y3egZ\n"
    "kyAdSceN1cZ0MH1b\n"
    "-----END CERTIFICATE REQUEST-----\n";

#endif

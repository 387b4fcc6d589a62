// A self-signed certificate for localhost and 127.0.0.1, and its key, made for these tests and of no use elsewhere. Valid until 2126.
// Made by: openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -keyout key.pem -out cert.pem
//   -subj "/CN=hiddenstate test broker" -addext "subjectAltName=DNS:localhost,IP:127.0.0.1"

export const certificate = `-----BEGIN CERTIFICATE-----
MIIBtzCCAV2gAwIBAgIUMgpM9u+0MaBd33wMXzCyhoi+4h8wCgYIKoZIzj0EAwIw
IjEgMB4GA1UEAwwXaGlkZGVuc3RhdGUgdGVzdCBicm9rZXIwIBcNMjYxMTIzMjEz
OTA0WhgPMjEyNjEwMzAyMTM5MDRaMCIxIDAeBgNVBAMMF2hpZGRlbnN0YXRlIHRl
c3QgYnJva2VyMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAENOanxXS4a+QOt4SB
AlBCGckWGLEw4wGFzv0Mf+TJfQtFQTuazY+y1R0I/f3dEKYAjdt2X1G7tdm48N44
r+OF7qNvMG0wHQYDVR0OBBYEFCvbxC5geedIEKwA21brPtlUS/qLMB8GA1UdIwQY
MBaAFCvbxC5geedIEKwA21brPtlUS/qLMA8GA1UdEwEB/wQFMAMBAf8wGgYDVR0R
BBMwEYIJbG9jYWxob3N0hwR/AAABMAoGCCqGSM49BAMCA0gAMEUCICdk0HaI6s+A
cE3C1PDfwsxOq/vYLocNIMc/8H80tV0qAiEAotoL2NcOxG2Woq1H7Y44quSQPSnw
Z3TISUAvD/+hARA=
-----END CERTIFICATE-----
`;

export const privateKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgfWBcb9n/h7F3xGW2
JVSmiynDS4gNliVQVySTN6Zl3JyhRANCAAQ05qfFdLhr5A63hIECUEIZyRYYsTDj
AYXO/Qx/5Ml9C0VBO5rNj7LVHQj9/d0QpgCN23ZfUbu12bjw3jiv44Xu
-----END PRIVATE KEY-----
`;

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# make_certs.sh DIR: a throw-away federation for tests of services/rpc: a CA, good certificates, and one
# certificate for each way of being wrong. Each NAME gives NAME.key and NAME.crt.
set -eu
cd "$1"
both=clientAuth,serverAuth
id=spiffe://fed-a

new_key() { # name
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null
}
authority() { # name
    new_key "$1"
    openssl req -x509 -new -key "$1.key" -sha256 -days 3650 -subj "/CN=test $1" -out "$1.crt" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
}
leaf() { # name authority san [first last]
    new_key "$1"
    openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr"
    {
        echo basicConstraints=critical,CA:FALSE
        echo keyUsage=critical,digitalSignature
        echo extendedKeyUsage=$both
        echo "subjectAltName=$3"
    } >"$1.ext"
    if [ $# -eq 3 ]; then
        openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -set_serial "$serial" -sha256 \
            -days 30 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
    else
        : >index
        printf "%04x\n" "$serial" >serial
        printf '%s\n' '[ca]' 'default_ca=d' '[d]' 'database=index' 'serial=serial' \
            'new_certs_dir=.' 'default_md=sha256' 'policy=p' '[p]' 'commonName=supplied' >ca.cnf
        openssl ca -batch -notext -config ca.cnf -cert "$2.crt" -keyfile "$2.key" -in "$1.csr" \
            -startdate "$4" -enddate "$5" -extfile "$1.ext" -out "$1.crt" 2>ca.log ||
            { cat ca.log >&2; exit 1; }
    fi
    serial=$((serial + 1))
}

serial=1
authority ca
authority foreignca
leaf coordinator ca "URI:$id/coordinator,DNS:localhost,IP:127.0.0.1"
leaf alpha ca "URI:$id/member/alpha"
leaf alpha2 ca "URI:$id/member/alpha"
leaf beta ca "URI:$id/member/beta"
leaf otherfed ca "URI:spiffe://fed-b/member/alpha"
leaf twouris ca "URI:$id/member/alpha,URI:$id/member/beta"
leaf nouri ca DNS:alpha.example
leaf otherform ca "URI:$id/trainer/alpha"
leaf foreign foreignca "URI:$id/member/alpha"
leaf foreigncoordinator foreignca "URI:$id/coordinator"
leaf expired ca "URI:$id/member/alpha" 20200101000000Z 20210101000000Z
leaf future ca "URI:$id/member/alpha" 20400101000000Z 20410101000000Z
leaf alphalong ca "URI:$id/member/alpha" 20240101000000Z 20400101000000Z
leaf coordinatorlong ca "URI:$id/coordinator" 20240101000000Z 20400101000000Z

# Lets a TLS 1.2 session go on when its client asks for renegotiation: it gets the warning no_renegotiation (RFC 5246 §7.2.2), and the
# rest of its ClientHello is skipped. Why: wolfSSL 5.9.2 without renegotiation means to answer so, but its check for repeated
# messages comes first and ends the session with unexpected_message. The renegotiation code itself stays out.
# In src/internal.c, in front of that check. Applied twice it changes nothing; where there is no such place the build fails.
/^int DoHandShakeMsgType\(/ { inside = 1 }
inside && /Sallyport: no renegotiation/ { done = 1 }
inside && !done && /sanity check msg received/ {
  print "    /* Sallyport: no renegotiation */"
  print "    if (ssl->options.side == WOLFSSL_SERVER_END && ssl->options.handShakeState == HANDSHAKE_DONE &&"
  print "            type == client_hello && !IsAtLeastTLSv1_3(ssl->version)) {"
  print "        *inOutIdx = expectedIdx;"
  print "        return SendAlert(ssl, alert_warning, no_renegotiation);"
  print "    }"
  print ""
  done = 1
}
{ print }
END { exit !done }

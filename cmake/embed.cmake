# cmake -DFROM=file -DTO=file.c -DNAME=symbol -P embed.cmake: a text file as a C string.
file(READ ${FROM} text)
string(REPLACE "\\" "\\\\" text "${text}")
string(REPLACE "\"" "\\\"" text "${text}")
string(REPLACE "\n" "\\n\"\n    \"" text "${text}")
file(WRITE ${TO} "extern const char ${NAME}[];\nconst char ${NAME}[] =\n    \"${text}\";\n")

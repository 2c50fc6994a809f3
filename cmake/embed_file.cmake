# cmake -DINPUT= -DOUTPUT= -DSYMBOL= -P embed_file.cmake: a file's bytes as a C array. No xxd, no limit on a literal's length.
file(READ ${INPUT} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1', " bytes "${hex}") # characters, so that bytes above 127 fit too
string(REPEAT "'.x..', " 14 line)
string(REGEX REPLACE "(${line})" "\\1\n    " bytes "${bytes}")
get_filename_component(name ${INPUT} NAME)
file(WRITE ${OUTPUT} "/* Made from ${name} by cmake/embed_file.cmake. */\n#pragma once\n\nstatic const char ${SYMBOL}[] = {\n    ${bytes}0};\n")

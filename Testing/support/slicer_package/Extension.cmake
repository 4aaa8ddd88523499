# What the application needs to be told of an extension; the real file writes it into the extension's description.
foreach(_name HOMEPAGE CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS LICENSE_FILE README_FILE)
  if("${EXTENSION_${_name}}" STREQUAL "")
    message(FATAL_ERROR "EXTENSION_${_name} is empty")
  endif()
  file(APPEND "${CMAKE_BINARY_DIR}/extension.txt" "${_name}=${EXTENSION_${_name}}\n")
endforeach()

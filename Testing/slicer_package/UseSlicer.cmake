# Slicer's macros with what they do to files: a folder among the scripts cannot be built, one among the resources vanishes,
# names outside the source folder leave the module folder, and installing takes the whole built folder.
include(CTest)

macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(_m "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(_m_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "unknown keywords: ${_m_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT _m_SCRIPTS)
    message(FATAL_ERROR "SCRIPTS is mandatory")
  endif()

  set(_folder "${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")
  if(_m_WITH_SUBDIR)
    get_filename_component(_name "${CMAKE_CURRENT_SOURCE_DIR}" NAME)
    string(APPEND _folder "/${_name}")
    install(DIRECTORY "${_folder}" DESTINATION "${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}")
  else()
    install(DIRECTORY "${_folder}/" DESTINATION "${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}")
  endif()

  set(_copies)
  foreach(_file IN LISTS _m_SCRIPTS _m_RESOURCES)
    if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${_file}")
      message(FATAL_ERROR "no such file: ${_file}")
    endif()
    if(IS_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}/${_file}")
      continue()
    endif()
    add_custom_command(
      OUTPUT "${_folder}/${_file}"
      COMMAND ${CMAKE_COMMAND} -E copy "${CMAKE_CURRENT_SOURCE_DIR}/${_file}" "${_folder}/${_file}"
      DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${_file}")
    list(APPEND _copies "${_folder}/${_file}")
  endforeach()
  add_custom_target(Copy${_m_NAME} ALL DEPENDS ${_copies})
endmacro()

macro(slicer_add_python_unittest)
  cmake_parse_arguments(_t "" "SCRIPT;TESTNAME_PREFIX" "SLICER_ARGS" ${ARGN})
  if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${_t_SCRIPT}")
    message(FATAL_ERROR "no such test: ${_t_SCRIPT}")
  endif()
  get_filename_component(_test "${_t_SCRIPT}" NAME_WE)
  add_test(NAME "py_${_t_TESTNAME_PREFIX}${_test}" COMMAND ${CMAKE_COMMAND} -E true)
endmacro()
